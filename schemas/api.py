"""Bodies of the HTTP API, as the daemon writes and the command line reads them.

Over 300 lines: all bodies of the API, which the published document is made of.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from schemas.freezes import Freeze, KeptFreeze
from schemas.holds import KeptHold
from schemas.protection import WordKind
from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.resets import Attempt, Channel, OutcomeKind, ResetState, Step, Waiting
from schemas.wire import EnvironmentName, ResetId, ResourceKey, Sequence, StepName, Text, Time, Wire


class Role(StrEnum):
    """What a token allows in its environments. Each role includes what `viewer` allows."""

    VIEWER = "viewer"  # read
    REQUESTER = "requester"  # ask for plans and resets, and cancel those that the same token asked for
    OPERATOR = "operator"  # all that a requester may; cancel, resume, skip, resolve, roll back, release, freeze, hold
    APPROVER = "approver"  # approve and deny; give words about protected environments, and take them back
    ADMIN = "admin"  # give words about protected environments, and take them back; freeze, also all of them


class Pointer(Wire):
    """What is wrong with one field of a body."""

    pointer: str
    """JSON Pointer (RFC 6901) into the body, or `?NAME` for a parameter of the address."""
    detail: str


class Problem(Wire):
    """An error (RFC 9457), `application/problem+json`."""

    model_config = ConfigDict(extra="allow")

    type: str
    """`/problems/CODE`: a page that explains it."""
    title: str
    status: int
    code: Reason
    detail: str | None = None
    hint: str | None = None
    """What to do next."""
    instance: str | None = None
    errors: tuple[Pointer, ...] = ()
    reset: ResetId | None = None
    """The reset that the problem is about, where there is one."""


class GivenApproval(Wire):
    """One person's consent to one plan."""

    actor: str
    plan_hash: str
    at: Time


class Approvals(Wire):
    """How many people must agree to the plan, and who did."""

    required: int
    given: tuple[GivenApproval, ...]
    expires_at: Time | None
    """Until when people may approve; once enough of them did, until when their consent may be used."""


class ResetSummary(Wire):
    """A reset in a list."""

    id: ResetId
    number: int
    reference: str
    """`ENVIRONMENT/NUMBER`."""
    environment: str
    state: ResetState
    request: ResetRequested
    channel: Channel
    requested_by: tuple[str, ...]
    claimed_by: tuple[str, ...]
    """Those of them who did not ask with a token: names that came over Kafka."""
    plan_hash: str | None
    approvals: Approvals
    spent_approvals: tuple[GivenApproval, ...]
    """Approvals on which something was destroyed before the reset stopped. They count no more."""
    waiting_for: Waiting | None
    cause: Reason | None
    detail: str | None
    hint: str | None
    stopped_in: ResetState | None
    stopped_at: StepName | None
    destroyed: bool
    stops: int
    """How many times it has stopped. Nothing is destroyed on dumps or spent approvals from before the last stop."""
    cancel_requested: bool
    sequence: int
    version: int
    """The ETag."""
    created_at: Time
    updated_at: Time


class ResetBody(ResetSummary):
    """One reset, with how far it got."""

    steps: tuple[Step, ...]
    attempts: tuple[Attempt, ...]
    unread_acts: int
    """How many acts the lease holder has yet to read. While there are any, the state may soon be another."""


class Page(Wire):
    """A page of resets, newest first."""

    items: tuple[ResetSummary, ...]
    next_cursor: str | None
    """Opaque text for the next page; None on the last page."""


class ActBody(Wire):
    """Body of an act. The description of the act's address says which fields it takes."""

    reason: Text | None = None


class ApproveBody(ActBody):
    """Consent to one plan."""

    plan_hash: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    confirm: str | None = None
    """The environment's name as the person typed it; any other name is refused. A plan that wipes needs it."""


class ResumeBody(ActBody):
    """Go on after a stop."""

    from_: StepName | None = Field(default=None, alias="from")
    """The step to go on from; without one the reset goes on where it stopped."""
    replan: bool = False
    force: bool = False
    """Whether steps that succeeded and are not to be repeated may run again."""
    sequence: Sequence | None = None
    """The last status that the sender saw. The act is refused where the reset has a later one."""


class SkipBody(ActBody):
    """Go on without a step. The reason is required."""

    step: StepName
    reason: Text


class ResolveBody(ActBody):
    """What a person says of a step whose outcome is unknown."""

    step: StepName
    outcome: OutcomeKind
    reason: Text


class AcceptBody(ActBody):
    """What a learned check found is the new truth. The reason is required."""

    check_name: Annotated[str, Field(alias="check", min_length=1, max_length=200)]
    """The check's name, as the failure says it: `learned.core`."""
    reason: Text


class RollbackBody(ActBody):
    """Put everything back as it was backed up."""

    force: bool = False


class ActAccepted(Wire):
    """The act was appended. The lease holder checks it once more when it reads it."""

    act: int
    """The act's id."""
    reset: ResetSummary
    """The reset as it was when the act was appended."""


class Scoped(Wire):
    """One environment, or all of them."""

    environment: EnvironmentName | None = None
    every: Annotated[bool, Field(alias="all")] = False
    """All environments. Exactly one of the two is given."""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.environment is None) is not self.every:
            raise ValueError("give either `environment` or `all: true`")
        return self


class FreezeAsked(Scoped):
    """Body of a freeze."""

    reason: Text
    expires_at: Time
    """30 days from now at most."""
    now: bool = False
    """Whether resets that are at work pause between steps as well."""
    dry_run: bool = False
    """Whether nothing is frozen, and only the answer says what would be."""


class Pausing(Wire):
    """A reset at work that a freeze which says `now` pauses, behind its first destructive step."""

    reset_id: ResetId
    reference: str
    state: ResetState
    down: tuple[str, ...]
    """What stays scaled to 0 until the freeze ends; empty where its plan quiesces nothing. Its environment is half
    rebuilt in any case."""


class UnfreezeAsked(Scoped):
    """Body that ends freezes."""

    reason: Text | None = None


class FreezeBody(KeptFreeze):
    """A freeze."""

    in_force: bool
    pauses: tuple[Pausing, ...] = ()
    """Resets at work that it pauses, as far as the caller may see them. Said in the answer to `freeze` alone."""


class HoldAsked(Wire):
    """Body of a hold."""

    reason: Text
    expires_at: Time
    """30 days from now at most."""
    after: bool = False
    """Whether to wait for the reset that is at work there; without it the hold is refused."""


class UnholdAsked(Wire):
    """Body that ends a hold."""

    reason: Text | None = None


class HoldBody(KeptHold):
    """A hold."""

    in_force: bool
    at_work: tuple[ResetId, ...] = ()
    """The resets that it waits for."""
    unread: tuple[str, ...] = ()
    """What of the environment could not be read when it was asked for. Resets of other environments that concern this
    one are kept away all the same."""


class LockBody(Wire):
    """A lock that is held or asked for."""

    key: ResourceKey
    reset_id: ResetId
    reference: str
    """`ENVIRONMENT/NUMBER` of the reset."""
    environment: str
    granted: bool
    ticket: int
    """The reset's place in the queue; smaller numbers come first."""
    since: Time
    """When the lock was granted, or asked for where it is not granted."""
    waits_for: tuple[ResetId, ...] = ()
    """Resets that hold the resource, or come before this one in the queue for it."""


class EnvironmentBody(Wire):
    """An environment, with the resets and locks that concern it."""

    name: str
    kind: str
    protected: bool
    running: ResetSummary | None
    """The reset that is at work: it neither waits nor is at rest."""
    last: ResetSummary | None
    """The newest reset that came to rest."""
    queue: tuple[ResetSummary, ...]
    """Resets that wait, oldest first."""
    locks: tuple[LockBody, ...]
    freezes: tuple[Freeze, ...] = ()
    """Freezes in force that are about it."""
    hold: KeptHold | None = None
    """The hold of it that is in force, granted or waiting."""


class FindingLevel(StrEnum):
    """The result of one of the doctor's checks."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"  # the doctor could not look


class Finding(Wire):
    """One line of the doctor's report."""

    check: str
    """`pods`, `deployments`, `argocd`, `logs`, or a name in the catalog."""
    subject: str
    """What was looked at: a service, an Application."""
    level: FindingLevel
    detail: str
    output: str | None = None
    """The command's last lines."""
    hint: str | None = None


class DoctorReport(Wire):
    """All findings of the doctor for one environment."""

    environment: str
    healthy: bool
    """Whether nothing failed and nothing was unknown."""
    findings: tuple[Finding, ...]


class WordBody(Wire):
    """Body of a word about a protected environment."""

    reason: Text
    expires_at: Time | None = None
    """When the word ends; 30 days from now unless given, and never more than 90."""


class ConfirmBody(WordBody):
    """What a protected environment, or a part of it that can't be read, uses."""

    uses: Annotated[tuple[ResourceKey, ...], Field(max_length=100)] | None = None
    """Exactly these databases, `database/{system identifier}/{name}`; none where the list is empty. Unless given, what
    is remembered of it still holds."""
    unseen: bool = False
    """That `uses` is right although it names a database that nobody ever saw. Without it such a name is refused: it may
    be misspelt."""


class PruneBody(Wire):
    """Whether old dumps go, or are only named."""

    dry_run: bool = False


class ForgetBody(WordBody):
    """That what is remembered of a protected environment is true no more, or that a word is taken back."""


class ProtectedEntry(StrEnum):
    """The sort of an entry in the list of what counts as protected."""

    REMEMBERED = "remembered"  # a resource that a protected environment was seen to use
    FORGOTTEN = "forgotten"  # one that a person's word says is not in use any more
    CONFIRM = WordKind.CONFIRM.value
    FORGET = WordKind.FORGET.value


class ProtectedBody(Wire):
    """An entry in the list of what counts as protected: a remembered use, or a person's word."""

    id: str
    """What `confirm` and `forget` take: `ENV/KEY` of a remembered use, the id of a word."""
    what: ProtectedEntry
    environment: str
    kind: str
    """What follows the last hyphen of the environment's name."""
    service: str | None = None
    database: str | None = None
    """The catalog's name of the database."""
    key: ResourceKey | None = None
    scope: str | None = None
    """What a word is about: `ENV`, `ENV/SERVICE`, `ENV/SERVICE/DATABASE` or `ENV/KEY`."""
    uses: tuple[ResourceKey, ...] | None = None
    """What the word says is in use; None for what is remembered."""
    seen_since: tuple[str, ...] = ()
    """Of a word to `confirm`: the databases, `SERVICE/DATABASE`, for which it ended, because they were seen since."""
    first_seen_at: Time | None = None
    last_seen_at: Time | None = None
    given_by: str | None = None
    given_at: Time | None = None
    expires_at: Time | None = None
    reason: str | None = None
    withdrawn_at: Time | None = None
    withdrawn_by: str | None = None
    in_force: bool = True
    """Whether it counts: a word that ended, and a use that is forgotten, do not."""


class WhoAmI(Wire):
    """The token that was presented."""

    subject: str
    name: str
    roles: tuple[Role, ...]
    environments: tuple[str, ...]
    expires_at: datetime | None
