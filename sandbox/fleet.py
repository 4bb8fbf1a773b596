"""The environments of the sandbox platform, their PostgreSQL servers and their databases.

Every part of the sandbox reads them here, so servers, pods and repositories agree. The fleet holds the hazards of
`docs/architecture.md` on purpose: two environments that share a core database, and a sandbox that runs on the databases
of its production (the guide's table leaves their sandbox column empty).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

SERVICES = (
    "data-builder-api",
    "los-core-api",
    "los-integrations",
    "sequence-builder-api",
    "ui-builder-api",
    "workflow-api",
)


@dataclass(frozen=True)
class Environment:
    """One namespace of the fleet, with the databases of its services.

    `databases` maps (service, variable) to `server/database`, where `server` is one of `SERVERS`. The service's pods
    get the connection string of that database in the variable.
    """

    name: str
    databases: dict[tuple[str, str], str] = field(hash=False)

    @property
    def client(self) -> str:
        """The part before the last hyphen: the client, who owns `{client}-workflows`."""
        return self.name.rpartition("-")[0]

    @property
    def kind(self) -> str:
        """The part after the last hyphen."""
        return self.name.rpartition("-")[2]

    @property
    def workflows(self) -> str:
        """The name of the repository with the client's workflows."""
        return f"{self.client}-workflows"


def _databases(server: str, core: str, core_server: str | None = None) -> dict[tuple[str, str], str]:
    core_at = f"{core_server or server}/{core}"
    return {
        ("data-builder-api", "DATABASE_URL"): f"{server}/data-builder",
        ("data-builder-api", "CORE_DATABASE_URL"): core_at,
        ("los-core-api", "DATABASE_URL"): core_at,
        ("los-integrations", "DATABASE_URL"): f"{server}/integrations",
        ("sequence-builder-api", "DATABASE_URL"): f"{server}/sequence-builder",
        ("ui-builder-api", "DATABASE_URL"): f"{server}/ui-builder",
        ("workflow-api", "DATABASE_URL"): f"{server}/workflow-builder",
    }


# Each is a PostgreSQL cluster of its own, so each has its own system identifier.
SERVERS = ("qa", "acme", "beta", "los-demo")

FLEET = (
    # No other environment uses its databases or its repository.
    Environment("qa-sandbox", _databases("qa", "los-sandbox")),
    # Two clients whose core schema is one database: they must never be reset at the same time.
    Environment("acme-sandbox", _databases("acme", "los-sandbox")),
    Environment("beta-sandbox", _databases("beta", "los-sandbox", core_server="acme")),
    # A sandbox that shares its production's repository, and all databases but core.
    Environment("los-demo-sandbox", _databases("los-demo", "los-sandbox")),
    Environment("los-demo-production", _databases("los-demo", "los-production")),
)


def environment(name: str) -> Environment:
    """The environment of that name; KeyError when the fleet has none."""
    for candidate in FLEET:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def servers_of(environments: Iterable[str]) -> set[str]:
    """The servers that these environments use; KeyError when the fleet has no such environment."""
    places = [place for name in environments for place in environment(name).databases.values()]
    return {place.partition("/")[0] for place in places}
