"""Exit codes of `resetd`, and the error that ends a command with one of them."""

from __future__ import annotations

from enum import IntEnum

from schemas.resets import ResetState


class Exit(IntEnum):
    """What the exit code tells a script."""

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
"""Exit codes of the states in which a reset stands still until a person does something."""
RESTING = {state.value for state in OF_STATE} - {ResetState.AWAITING_APPROVAL.value}
"""States in which watching a reset ends. It goes on while the reset waits for approval."""


class EndError(Exception):
    """Ends the command with an exit code. `message` says to people what is wrong, `hint` what to do next."""

    def __init__(self, code: Exit, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
