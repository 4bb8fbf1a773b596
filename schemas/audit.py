"""The audit: who asked for what, when and why, and what came of it. Lines are only ever appended to their chain."""

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
    """What somebody asked for: a reset, an act on a reset, or that a word about a protected environment counts."""

    REQUEST = "request"
    JOIN = "join"  # an identical request that a waiting reset absorbed
    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    RESUME = "resume"
    SKIP = "skip"
    RESOLVE = "resolve"
    ROLLBACK = "rollback"
    RELEASE = "release"
    ACCEPT = "accept"
    ADOPT = "adopt"  # a state database that was restored from an older backup
    CONFIRM = "confirm"  # a word about what a protected environment uses
    FORGET = "forget"  # a word that what is remembered of a protected environment is true no more
    PROVE = "prove"  # the daemon restored a backup and compared it with its manifest
    WITHDRAW = "withdraw"  # a word that is taken back
    FREEZE = "freeze"  # nothing new is destroyed until a moment
    UNFREEZE = "unfreeze"
    HOLD = "hold"  # a person takes an environment's locks until a moment
    UNHOLD = "unhold"


class Verdict(StrEnum):
    """What came of what was asked for."""

    APPLIED = "applied"
    REFUSED = "refused"


class AuditEntry(Wire):
    """One line of the audit. It never changes once it is stored."""

    chain: str
    """The chain that the line belongs to: a reset's id; `environment/NAME` or `subject/NAME` where there is no reset (a
    request that was not allowed); or `resetd` for the daemon's own state."""
    number: int = 0
    """1, 2, 3, ... in the chain; 0 before the line is stored."""
    at: Time
    action: AuditAction
    verdict: Verdict
    actor: Kept
    """The token's subject, or the name that an event claims."""
    channel: str
    """`kafka`, `http`, `provisioning`, or `command-line` for verbs of the daemon itself."""
    environment: str | None = None
    reset_id: ResetId | None = None
    act: int | None = None
    """Id of the appended act; None where it was refused before it was appended, and for requests."""
    state: ResetState | None = None
    """The reset's state when this was decided."""
    sequence: int | None = None
    """Sequence of the reset's last status when this was decided."""
    code: Reason | None = None
    """The reason for a refusal."""
    reason: Kept | None = None
    """Why the actor asked, in the actor's words."""
    detail: Kept | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the act or request named: `step`, `outcome`, `planHash`, ..."""
    hash: str = ""
    """Hash over this line and the hash of the line before; empty before the line is stored."""
