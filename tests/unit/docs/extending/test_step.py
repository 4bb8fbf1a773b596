"""The kind of step in docs/extending.md: recorded before it acts, and done once whoever is killed when."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import pytest

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.exit_interpreter import ExitInterpreter
from daemon.engine.steps.performer import Performer
from daemon.ports.errors import LeaseLostError, PermanentError, PortError, TemporaryError
from schemas.catalog.operations import Retry
from schemas.plan import Phase, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind, ResetState
from schemas.wire import ResetId, StepName
from statemachines.steps.progress import after_attempt, ended
from tests.contract.store.making import planned
from tests.unit.docs.extending.leasing import TTL, Leasing
from tests.unit.docs.extending.page import module
from tests.unit.engine.drives.loop import run

ANNOUNCE = module("announce")
STAND_IN = StepKind.HANDSHAKE
"""The kind that the step has here: a real one adds a word to the enum."""
STEP = PlannedStep(name=StepName("quiesce.announce"), phase=Phase.QUIESCE, kind=STAND_IN, batch=0)
PLAN = planned().model_copy(update={"steps": (STEP,)})


@dataclass
class Chat:
    """Implements the example's port. It can fail, or never answer: then whoever waits is killed."""

    posted: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    hangs: Literal["before", "after"] | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    error: PortError | None = None
    seen: list[tuple[Attempt, ...]] = field(default_factory=list)
    """The attempts of the state at each call that recorded and marked them."""
    leasing: Leasing | None = None

    async def post(self, key: str, environment: str, text: str) -> None:
        self.calls += 1
        await self._look(key)
        if self.error is not None:
            raise self.error
        if self.hangs == "before":
            await self._hang()
        self.posted.setdefault(key, f"{environment}: {text}")
        if self.hangs == "after":
            await self._hang()

    async def _hang(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()

    async def _look(self, key: str) -> None:
        if self.leasing is None:
            return
        store, marks = self.leasing.store, self.leasing.marks
        launches = [one async for one in marks.newest_first(await store.state_id())]
        recorded = await store.attempts(ResetId(key.partition("/")[0]))
        assert {launch.attempt for one in launches for launch in one.mark.launches} == {
            attempt.id for attempt in recorded
        }
        self.seen.append(recorded)


async def _believe(_step: PlannedStep, _attempt: Attempt, outcome: Outcome) -> Outcome:
    return outcome


def performer(leasing: Leasing, leased: LeasedReset, chat: Chat) -> Performer:
    recorder = AttemptRecorder(leased, leasing.clock, leasing.high_water)
    runner = ANNOUNCE.AnnounceStep(chat, leased, recorder)
    interpreter = ExitInterpreter(leasing.logs, _believe)
    return Performer({STAND_IN: runner}, leased, recorder, leasing.termination, interpreter)


async def killed(leasing: Leasing, reset_id: ResetId, chat: Chat, when: Literal["before", "after"]) -> None:
    """A daemon that ends before or after the effect of its attempt."""
    chat.hangs = when
    working = asyncio.create_task(
        performer(leasing, await leasing.claimed(reset_id), chat).perform(STEP), name="daemon"
    )
    await chat.reached.wait()
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    chat.hangs = None


def test_the_attempt_is_stored_and_marked_before_it_acts() -> None:
    async def scenario() -> None:
        leasing = Leasing()
        chat = Chat(leasing=leasing)
        reset_id = await leasing.stored(ResetState.QUIESCING, PLAN)
        leased = await leasing.claimed(reset_id)
        result = await performer(leasing, leased, chat).perform(STEP)
        assert result.outcome.kind is OutcomeKind.SUCCEEDED
        assert chat.posted == {f"{reset_id}/quiesce.announce": "qa-sandbox: Reset 1 begins"}
        assert [[(one.id, one.outcome) for one in seen] for seen in chat.seen] == [
            [(f"{reset_id}/quiesce.announce/1", None)]
        ]

    run(scenario())


@pytest.mark.parametrize(("when", "calls"), [("before", 2), ("after", 2)])
def test_a_daemon_that_is_killed_leaves_an_attempt_that_the_next_one_finishes(
    when: Literal["before", "after"], calls: int
) -> None:
    async def scenario() -> None:
        leasing, chat = Leasing(), Chat()
        reset_id = await leasing.stored(ResetState.QUIESCING, PLAN)
        await killed(leasing, reset_id, chat, when)
        assert len(chat.posted) == (when == "after")
        leased = await leasing.claimed(reset_id)
        result = await performer(leasing, leased, chat).perform(STEP)
        assert result.attempt is not None
        assert (result.attempt.number, result.outcome.kind) == (1, OutcomeKind.SUCCEEDED)
        assert len(await leasing.store.attempts(reset_id)) == 1
        assert (len(chat.posted), chat.calls) == (1, calls)

    run(scenario())


def test_a_daemon_whose_lease_is_over_posts_nothing() -> None:
    async def scenario() -> None:
        leasing, chat = Leasing(), Chat()
        reset_id = await leasing.stored(ResetState.QUIESCING, PLAN)
        leased = await leasing.claimed(reset_id, seconds_ago=TTL)
        with pytest.raises(LeaseLostError):
            await performer(leasing, leased, chat).perform(STEP)
        assert chat.calls == 0

    run(scenario())


def test_an_attempt_that_could_not_be_marked_does_not_act() -> None:
    async def scenario() -> None:
        leasing, chat = Leasing(), Chat()
        leasing.marks.answers = False
        reset_id = await leasing.stored(ResetState.QUIESCING, PLAN)
        leased = await leasing.claimed(reset_id)
        result = await performer(leasing, leased, chat).perform(STEP)
        assert (result.outcome.cause, result.outcome.temporary) == (Reason.UNAVAILABLE, True)
        assert len(await leasing.store.attempts(reset_id)) == 1
        assert chat.calls == 0

    run(scenario())


@pytest.mark.parametrize(
    "error",
    [
        TemporaryError(Reason.UNAVAILABLE, "the chat is away", delay=7.0),
        PermanentError(Reason.FORBIDDEN, "the chat refuses us"),
    ],
    ids=["temporary", "permanent"],
)
def test_an_error_is_the_outcome_of_its_attempt(error: PortError) -> None:
    async def scenario() -> None:
        leasing, chat = Leasing(), Chat(error=error)
        leased = await leasing.claimed(await leasing.stored(ResetState.QUIESCING, PLAN))
        result = await performer(leasing, leased, chat).perform(STEP)
        assert result.attempt is not None
        assert result.outcome.kind is OutcomeKind.FAILED
        assert (result.outcome.cause, result.outcome.detail) == (error.reason, error.detail)
        temporary = isinstance(error, TemporaryError)
        assert (result.outcome.temporary, result.outcome.delay) == (temporary, 7.0 if temporary else None)
        assert result.outcome.facts == {"launched": False}

    run(scenario())


def test_an_answer_that_was_lost_leads_to_another_attempt_and_to_no_second_announcement() -> None:
    async def scenario() -> None:
        leasing, chat = Leasing(), Chat()
        reset_id = await leasing.stored(ResetState.QUIESCING, PLAN)
        chat.posted[f"{reset_id}/quiesce.announce"] = "posted, and the answer was lost"
        chat.error = TemporaryError(Reason.UNAVAILABLE, "no answer")
        leased = await leasing.claimed(reset_id)
        failed = await performer(leasing, leased, chat).perform(STEP)
        assert failed.attempt is not None
        now = leasing.clock.now()
        step = after_attempt(
            STEP, leased.steps[STEP.name], 1, failed.outcome, Retry(), now=now, jitter=0.0, bound=None
        )
        await leased.finished(step, ended(failed.attempt, failed.outcome, at=now))
        chat.error = None
        result = await performer(leasing, leased, chat).perform(STEP)
        assert result.attempt is not None
        assert (result.attempt.number, result.outcome.kind) == (2, OutcomeKind.SUCCEEDED)
        assert list(chat.posted.values()) == ["posted, and the answer was lost"]

    run(scenario())


def test_a_cancel_ends_an_attempt_that_a_killed_daemon_left() -> None:
    async def scenario() -> None:
        leasing, chat = Leasing(), Chat()
        reset_id = await leasing.stored(ResetState.QUIESCING, PLAN)
        await killed(leasing, reset_id, chat, "before")
        leased = await leasing.claimed(reset_id)
        outcome = await performer(leasing, leased, chat).end(leased.open_attempts[STEP.name])
        assert outcome.kind is OutcomeKind.INTERRUPTED
        assert chat.calls == 1

    run(scenario())
