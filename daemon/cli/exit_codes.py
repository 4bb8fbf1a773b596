"""Exit codes of the command line, and errors that end it with one."""

from __future__ import annotations

from enum import IntEnum

from schemas.resets import ResetState


class Exit(IntEnum):
    """What a script learns without reading a line."""

    DONE = 0
    FAILED = 1  # the reset failed, or the doctor found something
    USAGE = 2  # wrong use
    REFUSED = 3  # by a rule or a role
    WAITS = 4  # for approval or an operator
    UNREACHABLE = 5  # the daemon does not answer
    TIME_IS_UP = 6  # what was waited for did not come within --timeout


OF_STATE: dict[ResetState, Exit] = {
    ResetState.DONE: Exit.DONE,
    ResetState.PLANNED: Exit.DONE,
    ResetState.ROLLED_BACK: Exit.FAILED,
    ResetState.FAILED: Exit.FAILED,
    ResetState.CANCELLED: Exit.FAILED,
    ResetState.REJECTED: Exit.REFUSED,
    ResetState.DENIED: Exit.REFUSED,
    ResetState.AWAITING_APPROVAL: Exit.WAITS,
    ResetState.NEEDS_OPERATOR: Exit.WAITS,
}
"""States in which nothing goes on by itself."""
RESTING = {state.value for state in OF_STATE} - {ResetState.AWAITING_APPROVAL.value}


class EndError(Exception):
    """Ends the command: a message for people, the next step, an exit code."""

    def __init__(self, code: Exit, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
