"""Who else is connected to a database of the plan: nobody may be, but whom the catalog tolerates."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.engine.facts.reader import FactsReader
from daemon.engine.pod_choice import PodChoice
from daemon.ports.databases import Databases, Session
from daemon.ports.errors import PermanentError
from schemas.catalog.catalog import Catalog
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from statemachines.planning.sessions import is_tolerated, who

NAMED = 10
"""Sessions that are named."""
DAEMONS = "resetd"
"""How the names of sessions of daemons and their attempts begin."""
IDLE_SECONDS = 10.0
"""How long a session has done nothing that is ended: a client that is at work pauses for less."""


class ForeignSessions:
    """One for each drive of a reset."""

    def __init__(
        self, databases: Databases, facts: FactsReader, pod_choice: PodChoice, catalog: Catalog
    ) -> None:
        self._databases = databases
        self._facts = facts
        self._pod_choice = pod_choice
        self._catalog = catalog

    async def left(self, step: PlannedStep) -> str:
        """Say who is connected to the database of a step of the kind `clear-sessions`; empty where nobody is.

        It ends no session.

        Raises:
            PermanentError: `database-mismatch`: another database answers.
            PortError: that can't be told.
        """
        url, environment, name = await self._way(step)
        foreign = await self._foreign(url, environment)
        return _named(name, foreign) if foreign else ""

    async def end_idle(self, step: PlannedStep) -> list[str]:
        """End the idle sessions of others, such as a pooler keeps, where the role may. Return who had them.

        Whoever was at rest has no pod any more. What is at work stays, and so does what the catalog tolerates, and what
        a daemon has, of another cluster, too: it waits in them for a handshake.

        Raises:
            PortError: as `left`.
        """
        url, environment, _ = await self._way(step)
        foreign = [
            each for each in await self._foreign(url, environment) if not each.application.startswith(DAEMONS)
        ]
        if not foreign:
            return []
        ended = await self._databases.end_idle(
            url, environment=environment, sessions=foreign, seconds=IDLE_SECONDS
        )
        return [_text(each) for each in ended]

    async def _way(self, step: PlannedStep) -> tuple[str, str, str]:
        """The URL, the environment whose names it has, and the database's name on the server."""
        if step.database is None:
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, f"{step.name} names no database")
        pod = await self._pod_choice.choose(step)
        url, identity = await self._facts.identify(pod, self._pod_choice.service(step), step.database)
        if identity.key not in step.touches:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"{step.name} would reach {identity.key}, the plan says {', '.join(step.touches)}",
            )
        return url, pod.environment, identity.name

    async def _foreign(self, url: str, environment: str) -> list[Session]:
        return [
            each
            for each in await self._databases.sessions(url, environment=environment)
            if not is_tolerated(self._catalog, each.role, each.application, writes=each.writes)
        ]


def _named(name: str, foreign: Sequence[Session]) -> str:
    count = f"{len(foreign)} session{'' if len(foreign) == 1 else 's'}"
    named = "; ".join(dict.fromkeys(map(_text, foreign[:NAMED])))
    return f"{name} has {count} of others: {named}"


def _text(session: Session) -> str:
    where = "" if session.hidden else f" from {session.address or 'the database server itself'}"
    return f"{who(session.role, session.application)}{where}"
