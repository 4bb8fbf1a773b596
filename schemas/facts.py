"""The facts: what is read from the world before a plan is made.

A fact that could not be read is listed as unreadable. It is never guessed, because what cannot be identified is not
reset.
"""

from __future__ import annotations

from pydantic import Field

from schemas.protection import ProtectedUse, RememberedUse, Word
from schemas.quiescing import ConsumerFact, ObjectRef
from schemas.reasons import Reason
from schemas.repositories import Beside, RepositoryRefusal, RootCommit
from schemas.wire import ResourceKey, ServiceName, Wire


class Loss(Wire):
    """Something that goes with a database's schema when that is wiped, and that no migration is known to make again."""

    name: str
    """`extension postgis`, `grants to reporting`, `view audit.report`."""
    for_good: bool
    """Whether the service's role can't make it again: it may not, or it is somebody else's."""


class DatabaseFact(Wire):
    """A database as one service's pod reaches it."""

    service: ServiceName
    database: str
    """The catalog's name for it: `core`, `data-builder`, ..."""
    key: ResourceKey
    """`database/{system identifier}/{name}`, read from the server itself."""
    name: str
    """Its name on the server, such as `los-sandbox`."""
    tables: int
    """For information; not part of the plan's hash."""
    size_bytes: int
    copied_markers: tuple[str, ...] = ()
    """Environments that markers in it name which were made for another database: it is a copy. For information."""
    server_version: int
    """As `SHOW server_version_num` gives it, such as 160004."""
    losses: tuple[Loss, ...] = ()
    """What a wipe would take with it. Read where the database is wiped."""


class MigrationsFact(Wire):
    """The migrations that a service's image carries for one of its databases. Read where the database is wiped."""

    service: ServiceName
    database: str
    """The catalog's name for it."""
    ids: tuple[str, ...]
    """For information: the image's digest is part of the plan's hash."""


class ConfiguredSeedFact(Wire):
    """A command of the plan that would run a seed which nobody asked for, or of which that can't be told."""

    service: ServiceName
    step: str
    """The name of the command's step."""
    detail: str
    """What configures the seed, or why nobody can tell."""


class ServiceFact(Wire):
    """A service of the environment, as its pods show it."""

    service: ServiceName
    image_digest: str
    """`imageID` of the chosen container; part of the plan's hash."""
    pod: str
    """For information; pods come and go."""
    consumers: int
    """The replicas that the service's Deployment asks for."""
    workloads: tuple[ObjectRef, ...] = ()
    """What makes its pods. For information; locked where the catalog quiesces and commands run in these pods."""


class BackupObstacle(Wire):
    """What keeps a database from being dumped, or its dump from being proven."""

    reason: Reason
    detail: str
    of_restore: bool
    """Whether only a restore needs it."""
    temporary: bool = False


class BackupFact(Wire):
    """How a database of the plan can be backed up, and the backup be proven."""

    key: ResourceKey
    scratch: str | None = None
    """The scratch server on which its backup would be restored. For information."""
    obstacles: tuple[BackupObstacle, ...] = ()


class RepositoryFact(Wire):
    """A repository whose branch the plan would rewind."""

    repository: str
    """The catalog's name for it, resolved: `qa-workflows`."""
    key: ResourceKey
    """`repository/{owner}/{name}/{branch}`."""
    owner: str
    branch: str
    head: str
    """For information; not part of the plan's hash, because people push."""
    roots: tuple[RootCommit, ...]
    """All commits without parents that the head descends from, sorted by their ids."""
    warnings: tuple[str, ...] = ()
    """What can't be told of whether the hub would refuse."""
    identity: str = ""
    """The hub's own id of the repository."""
    refusals: tuple[RepositoryRefusal, ...] = ()
    """Why the hub would refuse to rewind the branch."""
    beside: Beside = Beside()
    """What a reset leaves alone. For information; not part of the plan's hash."""


class Unreadable(Wire):
    """A fact that could not be read, and why."""

    environment: str
    service: ServiceName | None = None
    subject: str
    """`database core`, `repository qa-workflows`, `pods`."""
    reason: Reason
    detail: str
    protected: bool
    """Whether the fact belongs to an environment of a protected kind."""
    temporary: bool = False
    answered_by: tuple[str, ...] = ()
    """Ids of the words by which people say what is in use there. The planner fills this in."""


class HolderRefusal(Wire):
    """Why a service of the plan could not have the holder that its commands would run in."""

    service: ServiceName
    reason: Reason
    detail: str


class AbsentService(Wire):
    """A service that is not seen in an environment, and of which the catalog says that it is not there."""

    environment: str
    service: ServiceName


class SessionFact(Wire):
    """A session in a database of the environment that comes from no known pod. For information; not in the hash."""

    key: ResourceKey
    role: str
    application: str
    address: str | None
    """None for one on the server's own socket, and where it is hidden."""
    hidden: bool
    """Whether the server keeps the address from the roles that asked."""
    of_node: bool
    """Whether the address is that of a node, behind which a known pod may be."""
    writes: bool
    """Whether the role may change a table."""


class Facts(Wire):
    """All that the planner has to know of the world to plan a reset of one environment."""

    environment: str
    exists: bool
    services: tuple[ServiceFact, ...] = ()
    databases: tuple[DatabaseFact, ...] = ()
    backups: tuple[BackupFact, ...] = ()
    """Of the databases that the plan writes to."""
    repositories: tuple[RepositoryFact, ...] = ()
    migrations: tuple[MigrationsFact, ...] = ()
    configured_seeds: tuple[ConfiguredSeedFact, ...] = ()
    """The commands of the plan that would seed unasked."""
    users: dict[ResourceKey, tuple[str, ...]] = Field(default_factory=dict)
    """Resource -> the environments that use it, sorted, this one included."""
    markers: dict[ResourceKey, tuple[str, ...]] = Field(default_factory=dict)
    """Database -> the environments that its markers name, sorted: people wrote them into the database itself."""
    remembered_protected: tuple[ResourceKey, ...] = ()
    """Resources that a protected environment was once seen to use."""
    remembered: tuple[RememberedUse, ...] = ()
    """The same, with who was seen to use each, and when."""
    protected_uses: tuple[ProtectedUse, ...] = ()
    """What protected environments are seen to use now."""
    words: tuple[Word, ...] = ()
    """What people said about protected environments, and has not expired, oldest first."""
    consumers: tuple[ConsumerFact, ...] = ()
    """What has to be quiesced, in the order of environment, kind and name."""
    holder_refusals: tuple[HolderRefusal, ...] = ()
    """Why services could not have holders. Read where the plan quiesces."""
    sessions: tuple[SessionFact, ...] = ()
    """Sessions of no known pod in this environment's databases."""
    unreadable: tuple[Unreadable, ...] = ()
    absent: tuple[AbsentService, ...] = ()
    """Services that protected environments do not have, as the catalog says."""
