"""The life cycle of a reset: which state may follow which, as a table.

The package `transitions` keeps the table and answers which transitions it has. Its machine has no model, runs no
callback and holds no state: a reset's state is a column that its lease holder changes by compare-and-set.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from transitions import Machine

from schemas.plan import Phase
from schemas.resets import Reset, ResetState, StepState


class Trigger(StrEnum):
    """What moves a reset from state to state."""

    PLANNED = "planned"  # a plan was made that needs nobody's consent
    DRY_RUN = "dry-run"  # a plan was all that was asked for
    NEEDS_APPROVAL = "needs-approval"  # the plan waits for the consent of as many people as it says
    REPLANNED = "replanned"  # other facts, another plan, and again nobody's consent is needed
    REJECT = "reject"  # a rule refuses the request
    APPROVED = "approved"  # as many people as the plan needs have agreed to it
    DENY = "deny"  # an approver refuses the plan
    EXPIRED = "expired"  # nobody approved in time
    LOCKED = "locked"  # all resources are locked, and the facts are still those of the plan
    HELD_BACK = "held-back"  # before anything was destroyed a freeze came: back to the queue
    PAUSE = "pause"  # a freeze that says `now` stops a reset between steps, behind its first destructive one
    GO_ON = "go-on"  # that freeze is over: facts, dumps and handshakes are looked at again
    NEXT = "next"  # a working state has nothing left to do
    FAIL = "fail"  # a step failed for good, or the world stands in the way
    LOSE = "lose"  # an outcome is unknown, or there is no progress: a person has to look
    RESTORED = "restored"  # the state database is older than what was launched from it
    RESUME = "resume"  # the reset goes on with the same plan
    REPLAN = "replan"  # the reset goes on with a new plan for what is left
    CANCEL = "cancel"  # somebody asks for the reset to end
    CANCELLED = "cancelled"  # nothing of the reset is running any more
    ROLL_BACK = "roll-back"  # reserved: the databases go back to the dumps of this reset
    ROLLED_BACK = "rolled-back"  # reserved: every database of the reset is back at its dump


_S = ResetState

WORKING: tuple[ResetState, ...] = (
    _S.QUIESCING,
    _S.BACKING_UP,
    _S.MIGRATING_CORE,
    _S.SEEDING,
    _S.RESETTING_GIT,
    _S.VERIFYING,
    _S.RELEASING,
)
"""The working states in their order. A reset passes through a state that has nothing to do, and that is recorded."""

PHASE_OF: dict[ResetState, Phase] = dict(zip(WORKING, Phase, strict=True))
"""The phase whose steps a working state runs."""

TERMINAL: frozenset[ResetState] = frozenset({_S.DONE, _S.PLANNED, _S.REJECTED, _S.DENIED, _S.ROLLED_BACK})
"""A reset in one of these is over: no trigger leads out."""

STOPPED: frozenset[ResetState] = frozenset({_S.FAILED, _S.NEEDS_OPERATOR, _S.CANCELLED})
"""A reset in one of these goes on when somebody resumes it, plans it again or rolls it back."""

AT_REST: frozenset[ResetState] = TERMINAL | STOPPED
"""A reset in one of these stays as it is until somebody asks for something."""

WAITING: frozenset[ResetState] = frozenset({_S.PLANNING, _S.AWAITING_APPROVAL, _S.QUEUED})
"""A reset in one of these waits for its plan, for consent or for its locks."""

STEP_DONE: frozenset[StepState] = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
"""A step in one of these is behind its reset."""

KEEP_LOCKS: frozenset[ResetState] = frozenset(
    {*WORKING, _S.PAUSED, _S.QUEUED, _S.NEEDS_OPERATOR, _S.CANCELLING, _S.ROLLING_BACK}
)
"""A reset keeps its locks in these. When it enters any other state it lets all of them go."""

_ENDING = (_S.CANCELLING, _S.ROLLING_BACK)

_TABLE: tuple[tuple[Trigger, Collection[ResetState], ResetState], ...] = (
    (Trigger.DRY_RUN, (_S.PLANNING,), _S.PLANNED),
    (Trigger.REJECT, (_S.PLANNING,), _S.REJECTED),
    (Trigger.PLANNED, (_S.PLANNING,), _S.QUEUED),
    # From work it leads back where the consent got too old before anything was destroyed on it.
    (Trigger.NEEDS_APPROVAL, (_S.PLANNING, _S.QUEUED, *WORKING), _S.AWAITING_APPROVAL),
    (Trigger.APPROVED, (_S.AWAITING_APPROVAL,), _S.QUEUED),
    (Trigger.DENY, (_S.AWAITING_APPROVAL,), _S.DENIED),
    (Trigger.EXPIRED, (_S.AWAITING_APPROVAL,), _S.CANCELLED),
    (Trigger.REPLANNED, (_S.QUEUED,), _S.QUEUED),
    (Trigger.LOCKED, (_S.QUEUED,), WORKING[0]),
    (Trigger.HELD_BACK, WORKING, _S.QUEUED),
    (Trigger.PAUSE, WORKING, _S.PAUSED),
    # By way of the queue, where the facts are read again; it has kept its locks.
    (Trigger.GO_ON, (_S.PAUSED,), _S.QUEUED),
    *((Trigger.NEXT, (now,), then) for now, then in zip(WORKING, (*WORKING[1:], _S.DONE), strict=True)),
    (Trigger.FAIL, (*WAITING, *WORKING, _S.PAUSED, _S.NEEDS_OPERATOR, _S.ROLLING_BACK), _S.FAILED),
    (Trigger.LOSE, (*WAITING, *WORKING, _S.PAUSED, *_ENDING), _S.NEEDS_OPERATOR),
    (Trigger.RESTORED, (*WAITING, *WORKING, _S.PAUSED, *_ENDING, _S.FAILED, _S.CANCELLED), _S.NEEDS_OPERATOR),
    # A resumed reset queues again: it may have let its locks go when it stopped, and the facts may have changed.
    (Trigger.RESUME, STOPPED, _S.QUEUED),
    (Trigger.REPLAN, STOPPED, _S.PLANNING),
    # A cancellation always goes by way of `cancelling`: even a reset that waits or failed may have a running command.
    (Trigger.CANCEL, (*WAITING, *WORKING, _S.PAUSED, _S.FAILED, _S.NEEDS_OPERATOR), _S.CANCELLING),
    (Trigger.CANCELLED, (_S.CANCELLING,), _S.CANCELLED),
    (Trigger.ROLL_BACK, STOPPED, _S.ROLLING_BACK),
    (Trigger.ROLLED_BACK, (_S.ROLLING_BACK,), _S.ROLLED_BACK),
)

_MACHINE = Machine(
    model=None,
    states=ResetState,
    initial=ResetState.PLANNING,
    auto_transitions=False,
    transitions=[
        {"trigger": trigger.value, "source": list(sources), "dest": dest} for trigger, sources, dest in _TABLE
    ],
)


class ForbiddenTransitionError(ValueError):
    """The life cycle has no transition for this trigger out of this state."""

    def __init__(self, state: ResetState, trigger: Trigger) -> None:
        super().__init__(f"{trigger.value} does not lead out of {state.value}")
        self.state = state
        self.trigger = trigger


def advance(state: ResetState, trigger: Trigger) -> ResetState:
    """Return the state to which the trigger leads.

    Raises:
        ForbiddenTransitionError: the trigger does not lead out of this state.
    """
    # The package returns an empty list where there is no transition, and gives the destination by its NAME.
    edges = _MACHINE.get_transitions(trigger.value, source=state)
    if not edges:
        raise ForbiddenTransitionError(state, trigger)
    return ResetState[str(edges[0].dest)]


def allows(state: ResetState, trigger: Trigger) -> bool:
    """Whether the trigger leads out of the state."""
    return bool(_MACHINE.get_transitions(trigger.value, source=state))


def failed_at_planning(reset: Reset) -> bool:
    """Whether the reset failed before it had any work to do. A resume plans it anew, as asking again does."""
    planning = reset.stopped_in is ResetState.PLANNING
    return reset.state is ResetState.FAILED and planning and not reset.destroyed


def cancelled_for_good(reset: Reset) -> bool:
    """Whether the reset was cancelled before it destroyed anything. It is over then: ask for another one."""
    return reset.state is ResetState.CANCELLED and not reset.destroyed


def needs_rest(reset: Reset) -> bool:
    """Whether what a reset has quiesced has to stay at rest.

    - While it is at work it does, and while nobody knows what became of a step. While it waits for people, or in the
      queue, it does not, unless it has destroyed something.
    - Where it stopped after it destroyed something the services would start on what is half done: they stay down.
    - Where it ended, or stopped before it destroyed anything, they are given back. So they are on a person's word.
    """
    if reset.state in TERMINAL:
        return False
    if reset.state in WAITING and not reset.destroyed:
        return False
    if reset.state not in AT_REST or reset.state is _S.NEEDS_OPERATOR:
        return True
    return reset.destroyed and not reset.released
