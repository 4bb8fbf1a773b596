"""A world for the core's tests: the shipped catalog, and facts of an environment that stands alone."""

from __future__ import annotations

from daemon.config.catalog_file import load_catalog
from schemas.facts import BackupFact, DatabaseFact, Facts, MigrationsFact, RepositoryFact, ServiceFact
from schemas.plan import Plan
from schemas.repositories import RootCommit
from schemas.requests import Mode, Option, ResetRequested
from schemas.resets import Channel
from schemas.wire import ResourceKey, ServiceName, client_of
from statemachines.planning.planner import plan
from statemachines.refusals import Refusal

LOADED = load_catalog()
CATALOG = LOADED.catalog
SERVICES = CATALOG.order
CORE = ("data-builder-api", "los-core-api")


def key_of(name: str, server: str = "7001") -> ResourceKey:
    return ResourceKey(f"database/{server}/{name}")


def repository_key(client: str) -> ResourceKey:
    return ResourceKey(f"repository/fuse/{client}-workflows/main")


def facts(environment: str = "qa-sandbox", **changes: object) -> Facts:
    """All services run, all databases answer, nobody else uses any of them."""
    names = {"core": "los-sandbox"}
    databases = tuple(
        DatabaseFact(
            service=ServiceName(service.name),
            database=database.name,
            key=key_of(names.get(database.name, database.name)),
            name=names.get(database.name, database.name),
            tables=12,
            size_bytes=4096,
            server_version=160004,
        )
        for service in CATALOG.services
        for database in service.databases
    )
    client = client_of(environment)
    repository = RepositoryFact(
        repository=f"{client}-workflows",
        key=repository_key(client),
        owner="fuse",
        branch="main",
        head="a" * 40,
        roots=(RootCommit(sha="b" * 40, title="Initial commit"),),
    )
    fields: dict[str, object] = {
        "environment": environment,
        "exists": True,
        "services": tuple(
            ServiceFact(
                service=ServiceName(name), image_digest=f"sha256:{name}", pod=f"{name}-7d9f", consumers=1
            )
            for name in SERVICES
        ),
        "databases": databases,
        "repositories": (repository,),
        "migrations": tuple(
            MigrationsFact(service=ServiceName(service.name), database=database.name, ids=("1_init",))
            for service in CATALOG.services
            for database in service.databases
        ),
        "users": dict.fromkeys([*(database.key for database in databases), repository.key], (environment,)),
    }
    known = Facts.model_validate(fields | changes)
    return known if "backups" in changes else with_scratch(known)


def with_scratch(known: Facts) -> Facts:
    """The same facts, with a scratch server on which the backup of each database can be restored."""
    keys = dict.fromkeys(database.key for database in known.databases)
    backups = tuple(BackupFact(key=key, scratch="scratch:5432") for key in keys)
    return known.model_copy(update={"backups": backups})


def used_by(known: Facts, key: ResourceKey, *environments: str) -> Facts:
    """The same facts, with others that use a resource, too."""
    users = {**known.users, key: tuple(sorted({*known.users[key], *environments}))}
    return known.model_copy(update={"users": users})


def request(environment: object = "qa-sandbox", **fields: object) -> ResetRequested:
    return ResetRequested.model_validate({"environment": environment, "requested_by": "ana", **fields})


def answer(
    asked: ResetRequested | None = None, known: Facts | None = None, channel: Channel = Channel.HTTP
) -> Plan | Refusal:
    asked = asked or request()
    return plan(asked, channel, CATALOG, LOADED.id, known or facts(asked.environment))


def planned(
    asked: ResetRequested | None = None, known: Facts | None = None, channel: Channel = Channel.HTTP
) -> Plan:
    made = answer(asked, known, channel)
    assert isinstance(made, Plan), made
    return made


def refused(
    asked: ResetRequested | None = None, known: Facts | None = None, channel: Channel = Channel.HTTP
) -> Refusal:
    made = answer(asked, known, channel)
    assert isinstance(made, Refusal), made.hash
    return made


def texts(made: Plan, service: str | None = None) -> list[str]:
    """The shell texts of the plan's commands up to the checks, in order."""
    phases = {"migrate", "seed"}
    return [
        step.argv[2]
        for step in made.steps
        if step.phase.value in phases and (service is None or step.service == service)
    ]


__all__ = [
    "CATALOG",
    "CORE",
    "LOADED",
    "SERVICES",
    "Channel",
    "Mode",
    "Option",
    "answer",
    "facts",
    "key_of",
    "planned",
    "refused",
    "repository_key",
    "request",
    "texts",
    "used_by",
]
