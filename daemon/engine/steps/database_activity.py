"""Looks for a seed in its database while it runs, where no check says what it left there.

The looks are those of the witness that stands in the proven database. What was there before the launch, and a session
that was seen, are recorded with the attempt: whoever finds its command again goes on from there.
"""

from __future__ import annotations

import asyncio
from typing import Any, Self

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.database_checks import DatabaseChecks
from daemon.engine.steps.proven_servers import check_incarnation
from daemon.engine.steps.witnesses import Witnesses
from daemon.ports.backoff import Backoff
from daemon.ports.clock import Clock
from daemon.ports.errors import LeaseLostError, PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod
from schemas.plan import PlannedStep
from schemas.resets import Attempt, Outcome, OutcomeKind
from schemas.wire import ResourceKey
from statemachines.steps.activity import (
    ACTIVITY,
    as_fact,
    databases_of,
    is_shown,
    is_watched,
    may_need_sign,
    needs_sign,
    rows_since,
    seen,
    session_since,
    shown,
    with_seen,
    without_sign,
)
from statemachines.steps.check_outcomes import MET_BEFORE, no_answer

LOOK_INTERVAL = 0.1
"""Seconds between two looks for a session. A seed of a moment may be over between them."""
REPORT_LIMIT = 5.0
"""Seconds in which a session that ended has reported what it wrote."""
ASKING_LIMIT = 60.0
"""Seconds for which a database that does not answer is asked again."""


class DatabaseActivity:
    """One for each drive of a reset. Where a check is not met before the launch it does not look."""

    def __init__(
        self, witnesses: Witnesses, checks: DatabaseChecks, leased: LeasedReset, clock: Clock
    ) -> None:
        self._witnesses = witnesses
        self._checks = checks
        self._leased = leased
        self._clock = clock

    async def baseline(self, step: PlannedStep, pod: Pod) -> dict[str, Any] | None:
        """What is there before the launch, to be recorded with the attempt; None: nothing of it is needed.

        Raises:
            PortError: a database could not be asked.
        """
        measured = await self._checks.baseline(step, pod)
        if not may_need_sign(step):
            return measured
        before = await self._checks.met_before(step, pod)
        kept = dict(measured or {})
        if before:
            kept[MET_BEFORE] = list(before)
        if not needs_sign(step, before):
            return kept or None
        found: dict[ResourceKey, Any] = {}
        for key in databases_of(step):
            witness = await self._witnesses.of(key)
            found[key] = as_fact(witness.incarnation, await witness.clients(), await witness.written())
        return {**kept, ACTIVITY: found}

    def watch(self, step: PlannedStep) -> ActivityWatch:
        """A watch over one attempt at the step."""
        return ActivityWatch(step, self._witnesses, self._leased, self._clock)

    async def confirm(self, step: PlannedStep, attempt: Attempt, outcome: Outcome) -> Outcome:
        """Answer `outcome`, of a command that ended well, once its checks or a sign show it; else how they fail.

        The command has run, so that a database that does not answer is asked again for a while. No error is raised.
        """
        outcome = await self._checks.confirm(step, attempt, outcome)
        if outcome.kind is not OutcomeKind.SUCCEEDED or not is_watched(attempt) or is_shown(outcome):
            return outcome
        backoff = Backoff(self._clock, shortest=0.1, longest=1.0)
        began = self._clock.now()
        while True:
            waited = (self._clock.now() - began).total_seconds()
            try:
                sign = await self._sign(step, attempt)
                if sign is not None:
                    await self._check_servers(step)
                    return shown(outcome, sign)
                if waited >= REPORT_LIMIT:
                    return without_sign(step, outcome)
            except TemporaryError as error:
                if waited >= ASKING_LIMIT:
                    return no_answer(outcome, error.reason, error.detail, temporary=True)
            except PermanentError as error:
                return no_answer(outcome, error.reason, error.detail, hint=error.hint)
            await backoff.wait()

    async def _check_servers(self, step: PlannedStep) -> None:
        """Refuse a sign in another server than the one that was dumped.

        Raises:
            PermanentError: `database-mismatch`.
            TemporaryError: a database does not answer.
        """
        for key in databases_of(step):
            witness = await self._witnesses.of(key)
            check_incarnation(self._leased, key, witness.incarnation, asks=step.name)

    async def _sign(self, step: PlannedStep, attempt: Attempt) -> str | None:
        """A session that was seen while the command ran, or rows that were written since; one database is enough."""
        for key in databases_of(step):
            found = seen(attempt, key)
            if found is None:
                found = rows_since(attempt, key, await (await self._witnesses.of(key)).written())
            if found is not None:
                return f"{found} in {key}"
        return None


class ActivityWatch:
    """Looks for a session of one attempt from its launch to its end. A session that was seen once is enough."""

    def __init__(self, step: PlannedStep, witnesses: Witnesses, leased: LeasedReset, clock: Clock) -> None:
        self._databases = databases_of(step)
        self._witnesses = witnesses
        self._leased = leased
        self._clock = clock
        self._looking: asyncio.Task[None] | None = None
        self._standing: set[int] = set()
        self.attempt: Attempt | None = None
        """The attempt as it was recorded; None before that."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    @property
    def _keys(self) -> tuple[ResourceKey, ...]:
        return self._databases if is_watched(self.attempt) else ()

    async def note_standing(self) -> None:
        """Note who is there right before a launch: a handshake that was shown meanwhile is no sign of the seed.

        Raises:
            PortError: a database could not be asked.
        """
        for key in self._keys:
            self._standing |= {client.pid for client in await (await self._witnesses.of(key)).clients()}

    def begin(self) -> None:
        """Look from now on: the command is launched, or runs."""
        if self._keys and self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            try:
                if await self._saw_session():
                    return
            except PortError:
                pass  # it is asked again; what stays unseen is no sign
            except LeaseLostError:
                return  # the next commit of the drive ends it
            await self._clock.sleep(LOOK_INTERVAL)

    async def _saw_session(self) -> bool:
        assert self.attempt is not None
        if not any(seen(self.attempt, key) for key in self._keys):
            for key in self._keys:
                witness = await self._witnesses.of(key)
                who = session_since(
                    self.attempt, key, witness.incarnation, await witness.clients(), self._standing
                )
                if who is not None:
                    self.attempt = with_seen(self.attempt, key, who)
                    break
            else:
                return False
        # Stored as well where an earlier look saw it and the state database did not answer.
        await self._leased.commit(attempts=[self.attempt])
        return True
