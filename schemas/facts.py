"""What is read from the world before a plan is made. A fact that could not be read is None or listed as
unknown, never guessed: what can't be identified isn't reset.
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
    """Information only, not hashed."""
    size_bytes: int
    server_version: int
    """As `SHOW server_version_num` gives it, such as 160004."""


class ServiceFact(Wire):
    """A service of the environment as its pods show it."""

    service: ServiceName
    image_digest: str
    """`imageID` of the chosen container; hashed."""
    pod: str
    """Information only: pods come and go."""
    consumers: int
    """Replicas that its Deployment asks for."""


class RepositoryFact(Wire):
    """A repository whose branch the plan would rewind."""

    repository: str
    """The catalog's name for it, resolved: `qa-workflows`."""
    key: ResourceKey
    """`repository/{owner}/{name}/{branch}`."""
    owner: str
    branch: str
    head: str
    """Information only, not hashed: people push."""
    root: str
    """The one commit without parents that the head descends from."""
    warnings: tuple[str, ...] = ()
    """Open pull requests, tags and other branches that are left alone."""


class Unreadable(Wire):
    """A fact that could not be read, and why."""

    environment: str
    service: ServiceName | None = None
    subject: str
    """`database core`, `repository qa-workflows`, `pods`."""
    reason: Reason
    detail: str
    protected: bool
    """Whether it belongs to an environment of a protected kind."""
    temporary: bool = False


class Facts(Wire):
    """All that the planner needs to know of the world, for one environment."""

    environment: str
    exists: bool
    services: tuple[ServiceFact, ...] = ()
    databases: tuple[DatabaseFact, ...] = ()
    repositories: tuple[RepositoryFact, ...] = ()
    users: dict[ResourceKey, tuple[str, ...]] = Field(default_factory=dict)
    """Which environments (this one included) use each resource, sorted."""
    remembered_protected: tuple[ResourceKey, ...] = ()
    """Resources that a protected environment was once seen to use."""
    unreadable: tuple[Unreadable, ...] = ()
