"""Whether the databases are done with an attempt whose processes are gone.

A server notices that a client died only once the statement is over, so a killed migration may go on without anybody.
Not all sessions of foreign tools can be told by name: Prisma's engine sets none. But an orphan begins no new statement:
once every statement that could be the attempt's, and was at work when its last process was gone, has ended, nothing of
it is left.
"""

from __future__ import annotations

from datetime import datetime

from daemon.facts import FactsReader
from daemon.held import Held
from daemon.places import Places
from daemon.ports import Ports
from daemon.ports.errors import PortError
from daemon.ports.pods import Pod
from schemas.resets import Attempt, Control

LOOK_EVERY = 0.5
PATIENCE = 60.0
"""Seconds that a statement which may be the attempt's gets to end."""


class Sessions:
    """One for each drive of a reset."""

    def __init__(self, facts: FactsReader, ports: Ports, places: Places, held: Held) -> None:
        self._facts = facts
        self._pods = ports.pods
        self._databases = ports.databases
        self._places = places
        self._held = held
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
        planned = next(
            (one for one in (self._held.plan.steps if self._held.plan else ()) if one.name == attempt.step),
            None,
        )
        if planned is None or attempt.control is None or not planned.touches:
            return None
        service, pod = self._places.service(planned), _pod(attempt.control)
        for database in service.databases:
            try:
                url, identity = await self._facts.identify(pod, service, database.name)
            except PortError:
                # Its container is gone; the service's present one tells where the same database is.
                here = (pod.environment, service.selector_text, service.container)
                present = await self._pods.choose(*here)
                url, identity = await self._facts.identify(present, service, database.name)
            if identity.key not in planned.touches:
                continue
            leftover = await self._databases.leftover(
                url,
                environment=pod.environment,
                attempt=attempt.id,
                since=attempt.started_at,
                working_at=seen.get(identity.key),
            )
            seen.setdefault(identity.key, leftover.at)
            if leftover.sessions:
                return f"in {identity.name} statements that may be its own still run: {', '.join(leftover.sessions)}"
        return None


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
