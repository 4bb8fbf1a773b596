"""The facts: what is read from the world before a plan is made.

A fact that could not be read is listed as unreadable. It is never guessed, because what cannot be identified is not
reset.
"""

from __future__ import annotations

from pydantic import Field

from schemas.reasons import Reason
from schemas.wire import ResourceKey, ServiceName, Wire


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
    server_version: int
    """As `SHOW server_version_num` gives it, such as 160004."""


class MigrationsFact(Wire):
    """The migrations that a service's image carries for one of its databases. Read where the database is wiped."""

    service: ServiceName
    database: str
    """The catalog's name for it."""
    ids: tuple[str, ...]
    """For information: the image's digest is part of the plan's hash."""


class ServiceFact(Wire):
    """A service of the environment, as its pods show it."""

    service: ServiceName
    image_digest: str
    """`imageID` of the chosen container; part of the plan's hash."""
    pod: str
    """For information; pods come and go."""
    consumers: int
    """The replicas that the service's Deployment asks for."""


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
    root: str
    """The one commit without parents that the head descends from."""
    warnings: tuple[str, ...] = ()
    """Texts about open pull requests, tags and other branches, which a reset leaves alone."""


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


class Facts(Wire):
    """All that the planner has to know of the world to plan a reset of one environment."""

    environment: str
    exists: bool
    services: tuple[ServiceFact, ...] = ()
    databases: tuple[DatabaseFact, ...] = ()
    repositories: tuple[RepositoryFact, ...] = ()
    migrations: tuple[MigrationsFact, ...] = ()
    users: dict[ResourceKey, tuple[str, ...]] = Field(default_factory=dict)
    """Resource -> the environments that use it, sorted, this one included."""
    remembered_protected: tuple[ResourceKey, ...] = ()
    """Resources that a protected environment was once seen to use."""
    unreadable: tuple[Unreadable, ...] = ()
