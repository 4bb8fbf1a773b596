"""Who asked for what, when and why, and what came of it: one line of a chain that is only ever appended to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from schemas.reasons import Reason
from schemas.resets import ResetState
from schemas.wire import ResetId, Time, Wire, without_nul

Kept = Annotated[str, AfterValidator(without_nul)]
"""Text without NUL, so that what a hash covers comes back from the database as it was hashed."""


class AuditAction(StrEnum):
    """What somebody asked for: a reset, or an act on one."""

    REQUEST = "request"
    JOIN = "join"  # an identical request, absorbed by a reset that waits
    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    RESUME = "resume"
    SKIP = "skip"
    RESOLVE = "resolve"
    ROLLBACK = "rollback"
    RELEASE = "release"
    ADOPT = "adopt"  # a state that was restored from an older backup


class Verdict(StrEnum):
    """What came of it."""

    APPLIED = "applied"
    REFUSED = "refused"


class AuditEntry(Wire):
    """One line; it never changes once it is stored."""

    chain: str
    """A reset's id; an environment's name where there is no reset (a request that was not allowed); `resetd` for the
    daemon's own state."""
    number: int = 0
    """1, 2, 3, ... in its chain; 0 before it is stored."""
    at: Time
    action: AuditAction
    verdict: Verdict
    actor: Kept
    """The token's subject, or what an event claims."""
    channel: str
    """`kafka`, `http`, `provisioning`, or `command-line` for verbs of the daemon itself."""
    environment: str | None = None
    reset_id: ResetId | None = None
    act: int | None = None
    """Id of the appended act; None where it was refused before it was appended."""
    state: ResetState | None = None
    """The reset's, when this was decided."""
    sequence: int | None = None
    """The reset's last status then."""
    code: Reason | None = None
    """Why it was refused."""
    reason: Kept | None = None
    """Why it was asked for, in the actor's words."""
    detail: Kept | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the act named: `step`, `outcome`, `planHash`, ..."""
    hash: str = ""
    """Over this line and the hash of the line before; empty before it is stored."""
