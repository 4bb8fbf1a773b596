"""The plan of a reset: its ordered steps, made before anything is touched, with a hash that people agree to."""

from __future__ import annotations

from enum import StrEnum

from schemas.backups import Proof
from schemas.checks import PlannedCheck
from schemas.facts import Loss
from schemas.protection import Assurance
from schemas.quiescing import ObjectRef
from schemas.repositories import Beside, RootCommit
from schemas.requests import Mode, Option
from schemas.wire import ResourceKey, ServiceName, StepName, Time, Wire


class Phase(StrEnum):
    """The part of the pipeline that a step belongs to. The step's name begins with it; a proof's with `prove`."""

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
    PROVE_BACKUP = "prove-backup"  # the dump is restored on a scratch server and compared with its manifest
    HANDSHAKE = "handshake"  # proof that the service's tool reaches the database that was backed up
    COMMAND = "command"  # argv in a service's pod
    RESET_REPOSITORY = "reset-repository"
    CHECK_DATABASE = "check-database"  # the daemon looks into the databases itself
    QUIESCE = "quiesce"  # an object of the cluster is kept from starting anything
    CLEAR_SESSIONS = "clear-sessions"  # nobody else is connected to a database
    RELEASE = "release"  # a quiesced object gets its original values back
    AWAIT_HEALTH = "await-health"  # what was released runs again


NOTHING_LEFT = 99
"""The exit code by which a `check` says that nothing is left to do. No shell, Node or tool in use ends with it by
itself, so that a check that broke is not taken for an answer."""


class Idempotency(StrEnum):
    """Whether a command that was launched may be launched again by itself."""

    SAFE = "safe"  # a second launch does no harm
    RERUN_AFTER_CHECK = "rerun-after-check"  # only after the step's `check` says that it has to run
    NEVER = "never"  # only where a person says so


class Scope(StrEnum):
    """How far a command's effect reaches."""

    DATABASE = "database"
    CONTAINER = "container"  # another container does not have it


class RunIn(StrEnum):
    """Where a command runs."""

    SERVICE = "service"  # a pod of the service itself
    HOLDER = "holder"  # a pod that the reset makes for the service


class ConfiguredSeed(StrEnum):
    """What follows where an image configures a seed that its migration tool runs unasked after a reset."""

    DETECT = "detect"  # it is refused where the command, followed through npm's scripts, is seen to reset
    REFUSE = "refuse"  # it is refused: the command resets, also where its text does not show it
    ALLOW = "allow"  # it may run


class WipedDatabase(Wire):
    """A database that a step empties, and what goes with it."""

    database: str
    """The catalog's name for it."""
    resource: ResourceKey
    whole: bool
    """Whether the schema itself is dropped; otherwise its tables are."""
    losses: tuple[Loss, ...] = ()
    """What people agree to lose with it."""


class Failure(Wire):
    """A known failure of a command: a code or a pattern in its output, what it means and what to do."""

    codes: tuple[str, ...] = ()
    """Codes that the tool prints as an error's (`P3018`). A code counts before every pattern."""
    pattern: str | None = None
    """A regular expression (RE2's), searched in the command's last output."""
    reason: str
    """The code of a reason (`schemas.reasons`)."""
    temporary: bool = False
    hint: str


class Repeat(Wire):
    """A step that is run again until its output says that nothing is left."""

    until: str
    """The text in the output that ends the repetitions."""
    bound: tuple[str, ...]
    """argv of a command that is run at launch. The number of `[X]` lines in its output (what is applied) limits the
    repetitions, and has to fall."""


class PlannedStep(Wire):
    """A step of a plan: one effect on the world."""

    name: StepName
    phase: Phase
    kind: StepKind
    batch: int
    """Consecutive steps of one batch may run at the same time."""
    service: ServiceName | None = None
    """The service whose pod runs the command or reaches the database."""
    database: str | None = None
    """The catalog's name of the database that is backed up, or whose identity the handshake proves."""
    repository: str | None = None
    """Name of the repository that is reset."""
    repository_id: str | None = None
    """The hub's own id of that repository: one that is made anew under the same name is another one."""
    repository_root: str | None = None
    """The commit that the branch goes back to."""
    repository_roots: tuple[str, ...] = ()
    """All root commits of the branch, as people agree to them. A history with another root is another history."""
    object: ObjectRef | None = None
    """The object of the cluster that is quiesced or released."""
    uses: tuple[ResourceKey, ...] = ()
    """The databases that the pods of the object use, which it remembers while it is at rest."""
    environment: str | None = None
    """The environment whose health is awaited."""
    proof: Proof | None = None
    """Of a backup: how it is proven before anything is destroyed; None in plans of earlier versions, which read it."""
    argv: tuple[str, ...] = ()
    client_argv: tuple[str, ...] = ()
    """Of a handshake: the client's own way to the database, where it may be another one than the tool's (`argv`)."""
    touches: tuple[ResourceKey, ...] = ()
    """The resources that the step reads or changes."""
    timeout: float = 600.0
    """Seconds."""
    idempotent: Idempotency = Idempotency.SAFE
    check: tuple[str, ...] = ()
    """For `rerun-after-check`: exits 0 when the command has to run again, and 99 when nothing is left to do."""
    scope: Scope = Scope.DATABASE
    run_in: RunIn = RunIn.SERVICE
    destructive: bool = False
    """Whether the step changes data that only a backup brings back."""
    skippable: bool = False
    """Whether a person may go on without the step."""
    repeat: Repeat | None = None
    fail_on: str | None = None
    """A regular expression. A line of the output that matches means failure although the exit code is 0."""
    pass_on: str | None = None
    """A regular expression. Without a line of the output that matches nothing was shown, whatever the exit code is."""
    failures: tuple[Failure, ...] = ()
    checks: tuple[PlannedCheck, ...] = ()
    """What the daemon itself has to see in the databases once the step is done. Exit code 0 is a claim."""
    launch_needs: tuple[PlannedCheck, ...] = ()
    """Migrations that the image has to show before the step is launched: it belongs to a wipe."""
    migrates: bool = False
    """Whether the step promises nothing but migrations: it is shown by its check of them."""
    wipes: tuple[WipedDatabase, ...] = ()
    """The databases that the step empties: no step of the plan before it writes to them."""
    configured_seed: ConfiguredSeed | None = None
    """How the image is asked, before the launch, for a seed that the command would run unasked; None: it is not."""

    @property
    def writes(self) -> bool:
        """Whether the step may write to a database, also where no backup is needed to bring back what it changes.

        A verification changes nothing.
        """
        touches_one = any(key.startswith("database/") for key in self.touches)
        return self.kind is StepKind.COMMAND and self.phase is not Phase.VERIFY and touches_one


class Resource(Wire):
    """What a plan touches: it is locked, and needs consent where it is protected."""

    key: ResourceKey
    kind: str
    """`database`, `repository`, or `workload`: what is scaled to 0 meanwhile."""
    name: str
    """The name for people: `los-sandbox`, `qa-workflows`, `Deployment qa-sandbox/workflow-api`."""
    users: tuple[str, ...]
    """The environments that use it, this one included."""
    elsewhere: tuple[str, ...] = ()
    """Environments of other clusters that use it, as the catalog says."""
    marked: tuple[str, ...] = ()
    """The environments that the markers in the database name."""
    protected: bool
    protected_because: str | None = None


class PlannedRepository(Wire):
    """A repository that the plan rewinds, with what stands beside its branch. For people: not part of the hash."""

    repository: str
    key: ResourceKey
    branch: str
    head: str
    """Where the branch was when the plan was made. People push; the backup branch keeps what is there in the end."""
    root: RootCommit
    """What it goes back to."""
    beside: Beside


class Plan(Wire):
    """What a reset will do, in order. A plan never changes; other facts lead to another plan."""

    environment: str
    mode: Mode
    service_modes: dict[ServiceName, Mode]
    options: tuple[Option, ...] = ()
    integrations: tuple[str, ...] = ()
    core: bool
    git: bool
    not_before: Time | None = None
    """When the reset may start, as the request says."""
    catalog: str
    """Name and digest of the catalog, `fuse-platform@sha256:...`. For people, and not part of the hash."""
    catalog_used: str = ""
    """`sha256:...` over the parts of the catalog on which this plan depends and which its steps do not show."""
    steps: tuple[PlannedStep, ...]
    resources: tuple[Resource, ...]
    images: dict[ServiceName, str]
    approvals_required: int
    approvers_in: tuple[str, ...] = ()
    """The environments in each of which whoever approves has to be an approver: the reset's own, and all by which a
    resource is protected, in whichever cluster. Empty where nobody has to approve."""
    repositories: tuple[PlannedRepository, ...] = ()
    """The repositories that are rewound, with what stands beside each. Not part of the hash."""
    assurances: tuple[Assurance, ...] = ()
    """The words of people about protected environments that the plan relies on, and what each is taken to mean."""
    warnings: tuple[str, ...] = ()
    """The guide's warnings that apply. They are for people and not part of the hash."""
    hash: str
    """`sha256:...` over the canonical JSON (RFC 8785) of the plan without its catalog, its repositories, its warnings
    and this hash."""
