"""What the daemon can't see from its cluster, and people write down: environments elsewhere, sessions to tolerate."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.wire import EnvironmentName, ResourceKey, Wire

_Part = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$", max_length=100)]


class DatabaseElsewhere(Wire):
    """A database that an environment of another cluster uses."""

    system_identifier: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
    """`SELECT system_identifier FROM pg_control_system()` on its server."""
    name: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,63}$")]
    """Its name on the server."""

    @property
    def key(self) -> ResourceKey:
        """Return the key of its resource."""
        return ResourceKey(f"database/{self.system_identifier}/{self.name}")


class RepositoryElsewhere(Wire):
    """A repository that an environment of another cluster uses."""

    owner: _Part
    name: _Part
    branch: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x20\x7f]{1,255}$")] | None = None
    """Unless given, every branch is in use."""

    def is_at(self, key: ResourceKey) -> bool:
        """Tell whether the key is that of this repository. GitHub takes owners and names in any case."""
        kind, _, rest = key.partition("/")
        owner, _, rest = rest.partition("/")
        name, _, branch = rest.partition("/")
        same = (owner.casefold(), name.casefold()) == (self.owner.casefold(), self.name.casefold())
        return kind == "repository" and same and self.branch in {None, branch}


class Elsewhere(Wire):
    """An environment of another cluster. What it uses counts as in use; its kind says whether that is protected."""

    environment: EnvironmentName
    cluster: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")] | None = None
    """The name of the cluster, for people."""
    databases: Annotated[tuple[DatabaseElsewhere, ...], Field(max_length=1000)] = ()
    repositories: Annotated[tuple[RepositoryElsewhere, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _uses_something(self) -> Self:
        if not self.databases and not self.repositories:
            raise ValueError("an environment elsewhere needs databases or repositories: else it says nothing")
        return self

    @property
    def label(self) -> str:
        """Return its name as plans show it."""
        return f"{self.environment} in {self.cluster or 'another cluster'}"

    def uses(self, key: ResourceKey) -> bool:
        """Tell whether it uses that resource."""
        return any(database.key == key for database in self.databases) or any(
            repository.is_at(key) for repository in self.repositories
        )


class ToleratedSession(Wire):
    """Sessions that may be in a database from nobody knows where: a monitor's, say. A role that may write has none."""

    role: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,63}$")]
    application: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,63}$")]
    """The session's `application_name`, exactly."""
