"""The catalog file: what each mode runs for each service, which databases it touches, and which kinds are protected.

It is one YAML document. `daemon/config/catalogs/fuse-platform.yaml` is the default, and `resetd catalog check FILE`
validates another one. Commands are argv lists, and conditions and placeholders are closed vocabularies, so that
nothing from an event becomes text of a command.

Over 300 lines: the whole catalog, whose parts are validated against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Annotated, Self
from urllib.parse import quote

from pydantic import Field, StringConstraints, field_validator, model_validator

from schemas.backups import Proof
from schemas.catalog.elsewhere import Elsewhere, ToleratedSession
from schemas.catalog.operations import Doctor, Notification, Queue, Retry, Schedule, Window
from schemas.catalog.steps import (
    Argv,
    DoctorCommand,
    KnownFailure,
    Name,
    StepEntry,
    StepPhase,
    VerifyEntry,
    excludes,
)
from schemas.checks import MigrationsEntry
from schemas.plan import Scope
from schemas.requests import Mode, Option
from schemas.wire import Wire, client_of, kind_of

_LABEL = r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
_TERM = rf"{_LABEL}=[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
LabelSelector = Annotated[str, StringConstraints(pattern=rf"^{_TERM}(,{_TERM})*$", max_length=1000)]
"""`LABEL=VALUE`, or several with commas between them. Labels in the templates of Deployments are compared as well."""

AbsentFrom = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9*][a-z0-9*-]*-)?[a-z0-9]+$", min_length=1, max_length=63)
]
"""A kind, or an environment, whose client may have `*` for any characters."""

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]


LEAST_UNATTENDED = 2
"""The fewest people who agree to a request of somebody who is not known."""

_PHASES = list(StepPhase)
"""In the order in which they run."""


class Kind(Wire):
    """A kind of environment. An environment's kind is what follows the last hyphen of its name."""

    protected: bool = False
    """Whether resets of databases and repositories that such an environment uses need consent."""
    approvers: Annotated[int, Field(ge=0, le=10)] = 0
    """How many people must agree to a reset that somebody with a token asked for."""
    approvers_unattended: Annotated[int, Field(ge=0, le=11)] = 0
    """How many people must agree to a reset over Kafka or by provisioning, where who asks is only a claim.

    One of those who agree may be the one who asked. So it is at least two, and more than `approvers`.
    """

    @model_validator(mode="after")
    def _protection_needs_consent(self) -> Self:
        if self.protected and self.approvers < 1:
            raise ValueError("a protected kind needs approvers: at least 1")
        least = max(LEAST_UNATTENDED, self.approvers + 1)
        if (self.protected or self.approvers_unattended) and self.approvers_unattended < least:
            raise ValueError(
                f"approversUnattended has to be at least {least}: more than approvers, and two at least, "
                "because one of them may be who asked"
            )
        return self


class UrlParts(Wire):
    """Names of the variables that hold the parts of a database URL, where no variable holds all of it."""

    host: Variable
    port: Variable | None = None
    user: Variable
    password: Variable
    database: Variable


class Handshake(Wire):
    """How the service's own tool runs one SQL statement in a database, and commits it (docs/handshake.md)."""

    argv: Argv
    """The argument `{statement}` becomes the statement; without it the statement is written to stdin."""
    timeout: Annotated[float, Field(ge=1, le=3600)] = 60.0
    failures: tuple[Name, ...] = ()
    """Names of sets of known failures."""


class Database(Wire):
    """A database, as one service reaches it."""

    name: Name
    """The catalog's name for it. Services that share a database use the same name."""
    names: dict[Name, str] = Field(default_factory=dict)
    """Kind of environment -> the name that the database should have on the server. A plan warns of any other name."""
    url_variable: Variable | None = None
    """The variable that holds the URL in the pod. Unless it or `urlParts` is given, that is `DATABASE_URL`."""
    url_parts: UrlParts | None = None
    direct_url_variable: Variable | None = None
    """The variable whose URL leads the daemon past a pooler, a sidecar or a list of hosts, where the pod has it."""
    handshake: Handshake
    """By the tool of the commands. Its statement has to be heard in the database that was backed up."""
    client_handshake: Handshake | None = None
    """By the service's client, where the client may read another URL than the tool. It has to be heard there, too."""
    migrations: MigrationsEntry | None = None
    """How the daemon sees that the database has every migration of the service's image: after each step that writes to
    it, and at the end."""
    known_losses: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    """What may be lost for good when the database is wiped, by the names of a refusal (`grants to reporting`)."""

    @model_validator(mode="after")
    def _url_or_parts(self) -> Self:
        if self.url_variable is not None and self.url_parts is not None:
            raise ValueError("give urlVariable or urlParts, not both")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables that the URLs are made of."""
        return self._of_url + ((self.direct_url_variable,) if self.direct_url_variable else ())

    @property
    def _of_url(self) -> tuple[str, ...]:
        if self.url_parts is None:
            return (self.url_variable or "DATABASE_URL",)
        parts = self.url_parts
        return tuple(
            name for name in (parts.host, parts.port, parts.user, parts.password, parts.database) if name
        )

    def direct_url(self, values: Mapping[str, str]) -> str | None:
        """Return the URL for the daemon's own sessions, a secret; None where they use the service's own."""
        return (self.direct_url_variable and values.get(self.direct_url_variable)) or None

    def url(self, values: Mapping[str, str]) -> str | None:
        """Return the URL, which is a secret, from the pod's variables; None where one of them is absent or empty."""
        parts = self.url_parts
        if parts is None:
            return values.get(self._of_url[0]) or None
        if any(not values.get(name) for name in self._of_url):
            return None
        user, password = quote(values[parts.user], safe=""), quote(values[parts.password], safe="")
        port = f":{values[parts.port]}" if parts.port else ""
        database = quote(values[parts.database], safe="")
        return f"postgresql://{user}:{password}@{values[parts.host]}{port}/{database}"


class Service(Wire):
    """A service: its databases, and what each mode runs in its pod."""

    name: Name
    selector: LabelSelector | None = None
    """Label selector of the service's pods; `app.kubernetes.io/name=NAME` unless given."""
    container: str | None = None
    """The container that the commands run in, where the pod has several."""
    absent: Annotated[tuple[AbsentFrom, ...], Field(max_length=1000)] = ()
    """Where the service does not run: kinds (`production`) and environments (`acme-production`, `acme-*-production`).

    A protected environment that shows no workload of the service, and is not listed here, makes every sharing unknown.
    """
    databases: Annotated[tuple[Database, ...], Field(min_length=1)]
    options: tuple[Option, ...] = ()
    """Options of a request that belong to this service."""
    integrations: bool = False
    """Whether a request's `integrations` belong to this service."""
    steps: dict[Mode, tuple[StepEntry, ...]]
    verify: tuple[VerifyEntry, ...] = ()
    doctor: tuple[DoctorCommand, ...] = ()
    failures: tuple[Name, ...] = ()
    """Names of sets of known failures, for all steps of the service."""

    def _place(self, step: StepEntry) -> tuple[str, str, str]:
        return (step.phase, step.target or self.name, step.name)

    @property
    def selector_text(self) -> str:
        """The label selector of the service's pods."""
        return self.selector or f"app.kubernetes.io/name={self.name}"

    def is_absent_from(self, environment: str) -> bool:
        """Tell whether the catalog says that the service does not run in an environment."""
        return any(
            fnmatchcase(environment, pattern) if "-" in pattern else kind_of(environment) == pattern
            for pattern in self.absent
        )

    def database(self, name: str) -> Database | None:
        """Find the database with that name in the catalog."""
        return next((database for database in self.databases if database.name == name), None)

    @model_validator(mode="after")
    def _names_what_it_has(self) -> Self:
        missing = [mode.value for mode in Mode if mode not in self.steps]
        if missing:
            raise ValueError(f"steps of {', '.join(missing)} are missing")
        known = {database.name for database in self.databases}
        if len(known) != len(self.databases):
            raise ValueError("two databases have one name")
        asked: list[StepEntry | VerifyEntry] = [
            *self.verify,
            *(step for steps in self.steps.values() for step in steps),
        ]
        for entry in asked:
            unknown = set(entry.databases or ()) - known
            if unknown:
                raise ValueError(f"{entry.name or 'verify'} names databases it has not: {sorted(unknown)}")
        for mode, steps in self.steps.items():
            places = {step.run_in for step in steps}
            if len(places) > 1 and any(step.scope is Scope.CONTAINER for step in steps):
                raise ValueError(f"steps of {mode.value} beside one of scope container all need one runIn")
            for first, second in combinations(steps, 2):
                before = _PHASES.index(second.phase) < _PHASES.index(first.phase)
                if before and not excludes(first.when, second.when):
                    raise ValueError(
                        f"{mode.value}: {second.name} of phase {second.phase.value} runs before {first.name} of phase "
                        f"{first.phase.value}, so it has to stand before it"
                    )
                same = self._place(first) == self._place(second)
                if same and not excludes(first.when, second.when):
                    raise ValueError(f"two steps of {mode.value} may both be {first.name}")
        return self

    @model_validator(mode="after")
    def _checks_name_what_their_step_writes_to(self) -> Self:
        for step in (step for steps in self.steps.values() for step in steps):
            written = (
                {database.name for database in self.databases}
                if step.databases is None
                else set(step.databases)
            )
            for check in step.checks:
                if check.database not in written and (check.database is not None or len(written) != 1):
                    raise ValueError(
                        f"a check of {step.name} has to name one of its databases: {sorted(written)}"
                    )
        return self


class Core(Wire):
    """The schema that two services share. One of them migrates it for both."""

    database: Name = "core"
    migrator: Name
    """The service that migrates the schema where it is in the plan."""
    owner: Name
    """The service that seeds the schema. It also migrates it where the migrator is not in the plan."""


class Repository(Wire):
    """A repository, a branch of which goes back to its initial commit."""

    pattern: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._{}-]+$")]
    """The name of the repository. `{client}` and `{kind}` become those of the environment."""
    branch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/{}-]+$")] | None = None
    """The branch; the repository's default branch unless given. `{client}` and `{kind}` become those of the
    environment."""
    expected_root: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    """The initial commit. Where it is given, a repository without it is refused. A branch that descends from several
    root commits goes back to this one, and is refused where none is given."""

    @field_validator("pattern", "branch")
    @classmethod
    def _has_known_placeholders(cls, text: str | None) -> str | None:
        rest = (text or "").replace("{client}", "").replace("{kind}", "")
        if "{" in rest or "}" in rest:
            raise ValueError("only {client} and {kind} are filled in")
        return text

    @field_validator("branch")
    @classmethod
    def _is_no_backup(cls, branch: str | None) -> str | None:
        if branch is not None and branch.startswith("backup/"):
            raise ValueError("begins like a backup branch, which resetd makes and deletes")
        return branch

    def name_for(self, environment: str) -> str:
        """Return the repository's name, without the owner, for one environment."""
        return _filled_in(self.pattern, environment)

    def branch_for(self, environment: str) -> str | None:
        """Return the branch for one environment; None: the repository's default branch."""
        return _filled_in(self.branch, environment) if self.branch is not None else None


def _filled_in(text: str, environment: str) -> str:
    return text.replace("{client}", client_of(environment)).replace("{kind}", kind_of(environment))


class Catalog(Wire):
    """A platform: its services in order, and what each mode runs."""

    name: Name
    description: str = ""
    kinds: Annotated[dict[Name, Kind], Field(min_length=1)]
    order: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of all services, in the order in which they are reset."""
    core: Core | None = None
    services: Annotated[tuple[Service, ...], Field(min_length=1)]
    repositories: tuple[Repository, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    """Environments of other clusters, with what they use."""
    tolerated_sessions: tuple[ToleratedSession, ...] = ()
    """Sessions that may be in a database although no known pod has them."""
    quiesce: tuple[Mode, ...] = ()
    """Modes in which all that uses the databases is scaled to 0 while they are rebuilt."""
    failures: dict[Name, tuple[KnownFailure, ...]] = Field(default_factory=dict)
    """Sets of known failures. They are tried in the order in which a step names them."""
    doctor: Doctor = Doctor()
    windows: tuple[Window, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    proof: Proof | None = None
    """How backups are proven; none: `restored` where the database is protected, else `read`."""
    queue: Queue = Queue()
    retry: Retry = Retry()
    notifications: tuple[Notification, ...] = ()

    def service(self, name: str) -> Service | None:
        """Find the service with that name."""
        return next((service for service in self.services if service.name == name), None)

    @property
    def names(self) -> frozenset[str]:
        """Names of the services, of their databases here and on servers, and of the kinds."""
        databases = [database for service in self.services for database in service.databases]
        on_servers = [name for database in databases for name in database.names.values()]
        return frozenset([*self.order, *(database.name for database in databases), *on_servers, *self.kinds])

    @property
    def in_order(self) -> tuple[Service, ...]:
        """The services in the order in which they are reset."""
        place = {name: index for index, name in enumerate(self.order)}
        return tuple(sorted(self.services, key=lambda service: place[service.name]))

    @model_validator(mode="after")
    def _absent_names_kinds(self) -> Self:
        for service in self.services:
            for pattern in service.absent:
                if "-" not in pattern and pattern not in self.kinds:
                    kinds = ", ".join(self.kinds)
                    raise ValueError(f"absent of {service.name}: {pattern} is none of the kinds {kinds}")
        return self

    @model_validator(mode="after")
    def _elsewhere_is_known(self) -> Self:
        for entry in self.elsewhere:
            if kind_of(entry.environment) not in self.kinds:
                raise ValueError(f"elsewhere: {entry.environment} is of no kind of this catalog")
        places = [(entry.environment, entry.cluster) for entry in self.elsewhere]
        if len(set(places)) != len(places):
            raise ValueError("elsewhere: an environment of a cluster is listed twice")
        return self

    @model_validator(mode="after")
    def _repositories_are_named_once(self) -> Self:
        patterns = [repository.pattern.lower() for repository in self.repositories]
        if len(set(patterns)) != len(patterns):
            raise ValueError("repositories: a pattern is listed twice; a branch may have {kind} in its name")
        return self

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        names = [service.name for service in self.services]
        if len(set(names)) != len(names) or sorted(names) != sorted(self.order):
            raise ValueError("order and services must name the same services, each once")
        for role in (self.core.migrator, self.core.owner) if self.core else ():
            service = self.service(role)
            if service is None or self.core is None or service.database(self.core.database) is None:
                raise ValueError(f"core: {role} is no service with the core database")
        for used in _failure_sets(self.services):
            if used not in self.failures:
                raise ValueError(f"there is no set of failures {used}")
        owned = [option for service in self.services for option in service.options]
        if len(set(owned)) != len(owned) or sum(service.integrations for service in self.services) > 1:
            raise ValueError("an option, and integrations, belong to one service each")
        targets: dict[str, str] = {service.name: service.name for service in self.services}
        for service in self.services:
            for step in (step for steps in service.steps.values() for step in steps):
                if step.target and targets.setdefault(step.target, service.name) != service.name:
                    raise ValueError(f"the target {step.target} of {service.name} belongs to another service")
        return self


def _failure_sets(services: tuple[Service, ...]) -> Iterator[str]:
    for service in services:
        yield from service.failures
        for steps in service.steps.values():
            for step in steps:
                yield from step.failures
        for verify in service.verify:
            yield from verify.failures
        for database in service.databases:
            for handshake in (database.handshake, database.client_handshake):
                yield from handshake.failures if handshake else ()
