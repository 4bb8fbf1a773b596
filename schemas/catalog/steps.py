"""Commands in the catalog: one step, one check, and the closed vocabulary of when a step is in the plan."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.plan import Failure, Idempotency, Phase, RunIn, Scope
from schemas.reasons import Reason
from schemas.wire import Wire

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A word of a step's name; a dot separates such words."""

Argv = Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(min_length=1)]
"""Program and arguments; no shell unless it is `sh -c`."""

STATEMENT = "{statement}"
"""An argument of a handshake that becomes the SQL statement; without it the tool reads it from stdin."""

INTEGRATION = "{integration}"
"""An argument that becomes the integration's name in a step `forEach: integration`."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression (Python `re`), searched in each line."""


class Condition(StrEnum):
    """When a step belongs to the plan. All conditions of a step must hold."""

    CORE = "core"  # the core schema is migrated or wiped by this plan
    NO_CORE = "no-core"
    CORE_WIPED = "core-wiped"
    CORE_KEPT = "core-kept"  # migrated, or not touched at all
    WITH_MIGRATOR = "with-core-migrator"  # the service that migrates core for everybody is in the plan
    WITHOUT_MIGRATOR = "without-core-migrator"
    MOCK = "mock"
    POPULATE_CORE_ENTITIES = "populate-core-entities"
    KEEP_USER_DATA = "keep-user-data"
    NO_KEEP_USER_DATA = "no-keep-user-data"
    INTEGRATIONS = "integrations"  # names of integrations were given
    NO_INTEGRATIONS = "no-integrations"


OPPOSITES: dict[Condition, Condition] = {
    Condition.CORE: Condition.NO_CORE,
    Condition.CORE_WIPED: Condition.CORE_KEPT,
    Condition.WITH_MIGRATOR: Condition.WITHOUT_MIGRATOR,
    Condition.KEEP_USER_DATA: Condition.NO_KEEP_USER_DATA,
    Condition.INTEGRATIONS: Condition.NO_INTEGRATIONS,
}
"""Pairs of which exactly one holds. A wiped core is in the plan, so `core-wiped` excludes `no-core`, too."""


class StepPhase(StrEnum):
    """The phases that commands of the catalog belong to; each is a value of `schemas.plan.Phase`."""

    MIGRATE = Phase.MIGRATE.value
    SEED = Phase.SEED.value


class ForEach(StrEnum):
    """What a step is repeated over."""

    INTEGRATION = "integration"


def excludes(first: tuple[Condition, ...], second: tuple[Condition, ...]) -> bool:
    """Whether two lists of conditions can never hold together."""
    pairs = [*OPPOSITES.items(), (Condition.CORE_WIPED, Condition.NO_CORE)]
    return any((a in first and b in second) or (b in first and a in second) for a, b in pairs)


class RepeatUntil(Wire):
    """A command that undoes one thing at a time is run again until its output holds this text."""

    until: Annotated[str, StringConstraints(min_length=1)]
    bound: Argv
    """argv whose `[X]` lines, counted at launch, are the most repetitions there can be.

    An exit code other than 0 is no answer.
    """


class StepEntry(Wire):
    """One command of a service in one mode."""

    name: Name
    phase: StepPhase
    target: Name | None = None
    """The middle part of the step's name; the service's name unless it is given."""
    argv: Argv
    when: tuple[Condition, ...] = ()
    for_each: ForEach | None = None
    """Repeated for each name: it is appended to the step's name and becomes the argument `{integration}`."""
    databases: tuple[Name, ...] | None = None
    """Databases of this service that it writes to; all of them unless given, none if empty."""
    timeout: Annotated[float, Field(ge=1, le=86_400)] = 600.0
    """Seconds."""
    idempotent: Idempotency
    check: tuple[str, ...] = ()
    """For `rerun-after-check`: exits 0 when the command has to be run again, 99 when nothing is left to do.

    Any other exit code is no answer: the step is tried again later, and nothing is launched. A pipe hides that its
    first program failed.
    """
    scope: Scope = Scope.DATABASE
    run_in: RunIn = RunIn.SERVICE
    destructive: bool | None = None
    """Whether it changes data that only a backup brings back; unless given: whether it writes to a database."""
    skippable: bool = False
    """Whether a person may go on without it."""
    repeat_until: RepeatUntil | None = None
    failures: tuple[Name, ...] = ()
    """Names of sets of known failures, beside the service's own."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.idempotent is Idempotency.RERUN_AFTER_CHECK) != bool(self.check):
            raise ValueError("check belongs to idempotent: rerun-after-check, and the other way round")
        if (self.for_each is not None) != (INTEGRATION in self.argv):
            raise ValueError(f"forEach: integration belongs to an argument {INTEGRATION}")
        if self.for_each is not None and Condition.INTEGRATIONS not in self.when:
            raise ValueError("forEach: integration needs the condition integrations")
        if self.scope is Scope.CONTAINER and self.idempotent is not Idempotency.SAFE:
            raise ValueError("scope: container is run again in another container: idempotent has to be safe")
        if self.databases == () and self.destructive:
            raise ValueError("a step that writes to no database is not destructive")
        return self


class VerifyEntry(Wire):
    """A command that has to pass at the end; it changes nothing."""

    name: Name | None = None
    """Last part of the step's name, where a service has several."""
    argv: Argv
    when: tuple[Condition, ...] = ()
    databases: tuple[Name, ...] | None = None
    timeout: Annotated[float, Field(ge=1, le=3600)] = 120.0
    fail_on: Pattern | None = None
    """A regular expression; a line of the output that matches means failure although the exit code is 0."""
    failures: tuple[Name, ...] = ()


class DoctorCommand(Wire):
    """A command of `resetd doctor` in a service's pod; it changes nothing."""

    name: Name
    argv: Argv
    timeout: Annotated[float, Field(ge=1, le=3600)] = 60.0
    fail_on: Pattern | None = None


def _known(failure: Failure) -> Failure:
    _pattern(failure.pattern)
    Reason(failure.reason)
    return failure


KnownFailure = Annotated[Failure, AfterValidator(_known)]
"""A known failure as the catalog has it: a pattern that compiles, and a reason of the closed list."""
