"""Steps that wait until nobody else is connected to a database, and name who is."""

from __future__ import annotations

from datetime import timedelta

from daemon.engine.facts.reader import FactsReader
from daemon.engine.pod_choice import PodChoice
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.quiesce import POLL
from daemon.engine.steps.step_runner import AttemptResult
from daemon.ports.clock import Clock
from daemon.ports.databases import Databases, Session
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.catalog.catalog import Catalog
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind
from statemachines.planning.sessions import is_tolerated

NAMED = 10
"""Sessions that are named."""


class ClearSessionsStep:
    """Looks until nobody is left but whom the catalog tolerates. It ends no session: a person decides that."""

    def __init__(
        self,
        databases: Databases,
        facts: FactsReader,
        pod_choice: PodChoice,
        recorder: AttemptRecorder,
        catalog: Catalog,
        clock: Clock,
    ) -> None:
        self._databases = databases
        self._facts = facts
        self._pod_choice = pod_choice
        self._recorder = recorder
        self._catalog = catalog
        self._clock = clock

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Look. It changes nothing, so it is simply made again after a crash."""
        if step.database is None:
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, f"{step.name} names no database")
        pod = await self._pod_choice.choose(step)
        url, identity = await self._facts.identify(pod, self._pod_choice.service(step), step.database)
        if identity.key not in step.touches:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"{step.name} would reach {identity.key}, the plan says {', '.join(step.touches)}",
            )
        attempt = taken_up or await self._recorder.start(step)
        until = self._clock.now() + timedelta(seconds=step.timeout)
        while left := self._foreign(await self._databases.sessions(url, environment=pod.environment)):
            if self._clock.now() >= until:
                named = "; ".join(dict.fromkeys(map(_text, left[:NAMED])))
                count = f"{len(left)} session{'' if len(left) == 1 else 's'}"
                raise TemporaryError(
                    Reason.SESSIONS_LEFT,
                    f"{identity.name} has {count} of others after {step.timeout:g} s: {named}",
                    hint="End them, or let the catalog tolerate one that never writes (`toleratedSessions`).",
                )
            await self._clock.sleep(POLL)
        return AttemptResult(attempt, Outcome(kind=OutcomeKind.SUCCEEDED))

    def _foreign(self, sessions: tuple[Session, ...]) -> list[Session]:
        return [
            each
            for each in sessions
            if not is_tolerated(self._catalog, each.role, each.application, writes=each.writes)
        ]


def _text(session: Session) -> str:
    application = session.application or "no application name"
    where = "" if session.hidden else f" from {session.address or 'the database server itself'}"
    return f"{session.role} with {application}{where}"
