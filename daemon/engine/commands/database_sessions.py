"""Whether the databases are done with an attempt whose processes are gone.

A server notices that a client died only once the statement is over, so a killed migration may go on without anybody.
Not all sessions of foreign tools can be told by name: Prisma's engine sets none. But an orphan begins no new statement:
once every statement that could be the attempt's, and was at work when its last process was gone, has ended, nothing of
it is left.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime

from daemon.engine.facts import FactsReader
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import Places
from daemon.ports import Ports
from daemon.ports.databases import Identity
from daemon.ports.errors import PortError
from daemon.ports.pods.cluster import Pod
from schemas.catalog.catalog import Service
from schemas.reasons import Reason
from schemas.resets import Attempt, Control

LOOK_EVERY = 0.5
PATIENCE = 60.0
"""Seconds that a statement which may be the attempt's gets to end."""


class Sessions:
    """One for each drive of a reset."""

    def __init__(self, facts: FactsReader, ports: Ports, places: Places, leased: LeasedReset) -> None:
        self._facts = facts
        self._pods = ports.pods
        self._databases = ports.databases
        self._places = places
        self._leased = leased
        self._clock = ports.clock

    async def at_work(self, attempt: Attempt, *, needed: bool) -> str | None:
        """What may still be at work in the databases that the attempt's step writes to; None: nothing is.

        What is the attempt's for sure is ended; what only may be its own gets time to end by itself. Where a database
        can't be asked, that is what may be at work, if the answer is `needed`; else nothing hints at any.
        """
        began = self._clock.now()
        seen: dict[str, datetime] = {}
        while True:
            try:
                left = await self._look(attempt, seen)
            except PortError as error:
                if not needed:
                    return None
                left = f"whether its database sessions ended can't be shown: {error.detail}"
            if not left or (self._clock.now() - began).total_seconds() > PATIENCE:
                return left
            await self._clock.sleep(LOOK_EVERY)

    async def _look(self, attempt: Attempt, seen: dict[str, datetime]) -> str | None:
        """One look at each database; `seen` keeps when the first was, by the server's own clock."""
        control, steps = attempt.control, self._leased.plan.steps if self._leased.plan else ()
        planned = next((one for one in steps if one.name == attempt.step), None)
        if control is None or (planned is not None and not planned.touches):
            return None
        reached = (
            self._of_all(control) if planned is None else self._of(self._places.service(planned), control)
        )
        async for url, identity in reached:
            if planned is not None and identity.key not in planned.touches:
                continue
            leftover = await self._databases.leftover(
                url,
                environment=control.environment,
                attempt=attempt.id,
                since=attempt.started_at,
                working_at=seen.get(identity.key),
            )
            seen.setdefault(identity.key, leftover.at)
            if leftover.sessions:
                return f"in {identity.name} statements that may be its own still run: {', '.join(leftover.sessions)}"
        return None

    async def _of(self, service: Service, control: Control) -> AsyncGenerator[tuple[str, Identity], None]:
        """The service's databases as the attempt reached them."""
        for database in service.databases:
            try:
                yield await self._facts.identify(_pod(control), service, database.name)
            except PortError:
                # Its container is gone; the service's present one tells where the same database is.
                yield await self._facts.identify(
                    await self._present(service, control), service, database.name
                )

    async def _of_all(self, control: Control) -> AsyncGenerator[tuple[str, Identity], None]:
        """Those of all services that are there: whose step it was, of a former plan, nothing tells any more."""
        for service in self._places.services:
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


def _pod(control: Control) -> Pod:
    return Pod(
        environment=control.environment,
        name=control.pod,
        uid=control.pod_uid,
        container=control.container,
        container_id=control.container_id,
        image_digest="",
        restart_count=control.restart_count,
    )
