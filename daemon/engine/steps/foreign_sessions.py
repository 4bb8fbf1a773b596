"""Who else is connected to a database of the plan: nobody may be, but whom the catalog tolerates."""

from __future__ import annotations

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


class ForeignSessions:
    """One for each drive of a reset. It ends no session: a person decides that."""

    def __init__(
        self, databases: Databases, facts: FactsReader, pod_choice: PodChoice, catalog: Catalog
    ) -> None:
        self._databases = databases
        self._facts = facts
        self._pod_choice = pod_choice
        self._catalog = catalog

    async def left(self, step: PlannedStep) -> str:
        """Say who is connected to the database of a step of the kind `clear-sessions`; empty where nobody is.

        Raises:
            PermanentError: `database-mismatch`: another database answers.
            PortError: that can't be told.
        """
        if step.database is None:
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, f"{step.name} names no database")
        pod = await self._pod_choice.choose(step)
        url, identity = await self._facts.identify(pod, self._pod_choice.service(step), step.database)
        if identity.key not in step.touches:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"{step.name} would reach {identity.key}, the plan says {', '.join(step.touches)}",
            )
        found = await self._databases.sessions(url, environment=pod.environment)
        foreign = [
            each
            for each in found
            if not is_tolerated(self._catalog, each.role, each.application, writes=each.writes)
        ]
        if not foreign:
            return ""
        count = f"{len(foreign)} session{'' if len(foreign) == 1 else 's'}"
        named = "; ".join(dict.fromkeys(map(_text, foreign[:NAMED])))
        return f"{identity.name} has {count} of others: {named}"


def _text(session: Session) -> str:
    where = "" if session.hidden else f" from {session.address or 'the database server itself'}"
    return f"{who(session.role, session.application)}{where}"
