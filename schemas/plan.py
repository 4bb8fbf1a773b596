"""The plan of a reset: ordered, immutable, computed before anything is touched, with a hash people agree to."""

from __future__ import annotations

from enum import StrEnum

from schemas.requests import Mode, Option
from schemas.wire import ResourceKey, ServiceName, StepName, Wire


class Phase(StrEnum):
    """The part of the pipeline that a step belongs to; first part of its name."""

    QUIESCE = "quiesce"
    BACKUP = "backup"
    MIGRATE = "migrate"
    SEED = "seed"
    GIT = "git"
    VERIFY = "verify"
    RELEASE = "release"


class StepKind(StrEnum):
    """What a step does to the world."""

    BACKUP_DATABASE = "backup-database"
    HANDSHAKE = "handshake"  # proof that the service's tool reaches the database that was backed up
    COMMAND = "command"  # argv in a service's pod
    RESET_REPOSITORY = "reset-repository"


NOTHING_LEFT = 99
"""The exit code of a `check` that says that nothing is left to do. No shell, node or tool at hand ends with it by
itself, so that a check that broke is not taken for one that answered."""


class Idempotency(StrEnum):
    """What a second launch of the same command would do."""

    SAFE = "safe"
    RERUN_AFTER_CHECK = "rerun-after-check"
    NEVER = "never"


class Scope(StrEnum):
    """How far a command's effect reaches."""

    DATABASE = "database"
    CONTAINER = "container"  # void once the container is another one


class RunIn(StrEnum):
    """Where a command runs."""

    SERVICE = "service"
    HOLDER = "holder"


class Failure(Wire):
    """A known way for a command to fail: a pattern in its output, what it means, what to do."""

    pattern: str
    """A regular expression (Python `re`), searched in the command's last output."""
    reason: str
    """A code of `schemas.reasons`."""
    temporary: bool = False
    hint: str


class Repeat(Wire):
    """A step that is run again until its output says that nothing is left."""

    until: str
    """Text in the output that ends it."""
    bound: tuple[str, ...]
    """argv whose output's count of `[X]` lines (what is applied), read at launch, limits the repetitions."""


class PlannedStep(Wire):
    """One effect on the world."""

    name: StepName
    phase: Phase
    kind: StepKind
    batch: int
    """Consecutive steps of one batch may run at the same time."""
    service: ServiceName | None = None
    """Whose pod runs the command or shows the database."""
    database: str | None = None
    """The catalog's name of the database to back up or to shake hands over."""
    repository: str | None = None
    argv: tuple[str, ...] = ()
    touches: tuple[ResourceKey, ...] = ()
    timeout: float = 600.0
    """Seconds."""
    idempotent: Idempotency = Idempotency.SAFE
    check: tuple[str, ...] = ()
    """For `rerun-after-check`: exits 0 when the command has to be run again, `NOTHING_LEFT` when it must not be."""
    scope: Scope = Scope.DATABASE
    run_in: RunIn = RunIn.SERVICE
    destructive: bool = False
    """Whether it changes data that only the backup could bring back."""
    skippable: bool = False
    repeat: Repeat | None = None
    fail_on: str | None = None
    """A line in the output (regular expression) that means failure although the exit code is 0."""
    failures: tuple[Failure, ...] = ()


class Resource(Wire):
    """What a plan locks and asks consent for."""

    key: ResourceKey
    kind: str
    """`database` or `repository`."""
    name: str
    """For people: `los-sandbox`, `qa-workflows`."""
    users: tuple[str, ...]
    """Environments that use it, this one included."""
    protected: bool
    protected_because: str | None = None


class Plan(Wire):
    """What a reset will do, in order. Immutable; another fact means another plan."""

    environment: str
    mode: Mode
    service_modes: dict[ServiceName, Mode]
    options: tuple[Option, ...] = ()
    integrations: tuple[str, ...] = ()
    core: bool
    git: bool
    catalog: str
    """Name and digest of the catalog, `fuse-platform@sha256:...`."""
    steps: tuple[PlannedStep, ...]
    resources: tuple[Resource, ...]
    images: dict[ServiceName, str]
    approvals_required: int
    warnings: tuple[str, ...] = ()
    """For people, not hashed; the guide's warnings that apply."""
    hash: str
    """`sha256:...` over all of it but warnings, in canonical JSON (RFC 8785)."""
