"""Whether databases are still at work for an attempt whose processes are gone.

A server notices that a client died only once the client's statement is over: a killed migration may go on without
its client. Some tools name their sessions after the attempt; Prisma's engine names none. But a session without a
client begins no new statement. So:

1. Sessions that carry the attempt's name are ended.
2. Of all other sessions, of whatever role, those count that were in a statement when the last process was gone.
3. Of some roles' sessions the server shows only that they are in a transaction: whether that is the attempt's can't be
   told, so they count where it has to be known.
4. The databases are done with the attempt once each of those statements has ended.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from daemon.engine.facts.reader import FactsReader
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import PodChoice
from daemon.ports import Ports
from daemon.ports.databases import Identity
from daemon.ports.errors import PortError
from daemon.ports.pods.cluster import Pod
from schemas.catalog.catalog import Service
from schemas.reasons import Reason
from schemas.resets import Attempt, Control

SESSIONS_INTERVAL = 0.5
"""Seconds between two looks at the sessions."""
SESSIONS_LIMIT = timedelta(seconds=60)
"""How long a statement that may be the attempt's gets to end."""


class DatabaseSessions:
    """One for each drive of a reset."""

    def __init__(self, facts: FactsReader, ports: Ports, pod_choice: PodChoice, leased: LeasedReset) -> None:
        self._facts = facts
        self._pods = ports.pods
        self._databases = ports.databases
        self._pod_choice = pod_choice
        self._leased = leased
        self._clock = ports.clock

    async def work_of(self, attempt: Attempt, *, must_know: bool) -> str | None:
        """Describe database work that the dead attempt may still be doing, or None.

        Looks at the databases that the attempt's step writes to, until no such work is left, for at most
        `SESSIONS_LIMIT`. `must_know`: what can't be told counts as work that may go on; otherwise it counts as none.
        """
        began = self._clock.now()
        first_seen_at: dict[str, datetime] = {}
        while True:
            try:
                work = await self._look(attempt, first_seen_at, must_know=must_know)
            except PortError as error:
                if not must_know:
                    return None
                work = f"whether its database sessions ended can't be shown: {error.detail}"
            if not work or self._clock.now() - began > SESSIONS_LIMIT:
                return work
            await self._clock.sleep(SESSIONS_INTERVAL)

    async def _look(
        self, attempt: Attempt, first_seen_at: dict[str, datetime], *, must_know: bool
    ) -> str | None:
        """Look once at each database. `first_seen_at`: database -> the time of the first look by its server's clock."""
        control, steps = attempt.control, self._leased.plan.steps if self._leased.plan else ()
        planned = next((step for step in steps if step.name == attempt.step), None)
        if control is None or (planned is not None and not planned.touches):
            return None
        reached = (
            self._all_databases(control)
            if planned is None
            else self._databases_of(self._pod_choice.service(planned), control)
        )
        async for url, identity in reached:
            if planned is not None and identity.key not in planned.touches:
                continue
            leftover = await self._databases.leftover(
                url,
                environment=control.environment,
                attempt=attempt.id,
                since=attempt.started_at,
                working_at=first_seen_at.get(identity.key),
            )
            first_seen_at.setdefault(identity.key, leftover.at)
            if leftover.hidden and must_know:
                whose = ", ".join(leftover.hidden)
                return (
                    f"whether statements of {whose} in {identity.name} are its own can't be shown: the server hides "
                    "them from the URL's role until somebody GRANTs it pg_read_all_stats"
                )
            if leftover.sessions:
                return f"in {identity.name} statements that may be its own still run: {', '.join(leftover.sessions)}"
        return None

    async def _databases_of(
        self, service: Service, control: Control
    ) -> AsyncGenerator[tuple[str, Identity], None]:
        """The service's databases as the attempt reached them."""
        for database in service.databases:
            try:
                yield await self._facts.identify(pod_of(control), service, database.name)
            except PortError:
                # The attempt's container is gone; the service's present container tells where the database is.
                present = await self._present(service, control)
                yield await self._facts.identify(present, service, database.name)

    async def _all_databases(self, control: Control) -> AsyncGenerator[tuple[str, Identity], None]:
        """The databases of every service: the attempt is of a former plan, which nobody can ask any more."""
        for service in self._pod_choice.services:
            try:
                pod = await self._present(service, control)
            except PortError as error:
                if error.reason is Reason.POD_NOT_FOUND:
                    continue
                raise
            for database in service.databases:
                yield await self._facts.identify(pod, service, database.name)

    async def _present(self, service: Service, control: Control) -> Pod:
        return await self._pods.choose(control.environment, service.selector_text, service.container)


def pod_of(control: Control) -> Pod:
    """The pod of an attempt, as it was recorded."""
    return Pod(
        environment=control.environment,
        name=control.pod,
        uid=control.pod_uid,
        container=control.container,
        container_id=control.container_id,
        image_digest="",
        restart_count=control.restart_count,
    )
