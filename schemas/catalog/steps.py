"""Commands in the catalog: steps, verifications, doctor commands, and the conditions under which they are planned."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.checks import CheckEntry
from schemas.patterns import Pattern
from schemas.plan import ConfiguredSeed, Failure, Idempotency, Phase, RunIn, Scope
from schemas.reasons import Reason
from schemas.wire import Wire

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A word of a step's name. Dots separate the words."""

Argv = Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(min_length=1)]
"""A program and its arguments. No shell runs them, unless the program is one (`sh -c`)."""

STATEMENT = "{statement}"
"""The argument of a handshake that becomes the SQL statement. Without it the tool reads the statement from stdin."""

INTEGRATION = "{integration}"
"""The argument that becomes the name of the integration, in a step with `forEach: integration`."""


def _pattern(text: str) -> str:
    Pattern(text)
    return text


LinePattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression (RE2's) that is searched in each line."""


class Condition(StrEnum):
    """A condition of a step. A step belongs to the plan where all its conditions hold."""

    CORE = "core"  # the core schema is migrated or wiped by this plan
    NO_CORE = "no-core"
    CORE_WIPED = "core-wiped"
    CORE_KEPT = "core-kept"  # the core schema is migrated or not touched
    WITH_MIGRATOR = "with-core-migrator"  # the service that migrates core for both is in the plan
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
"""Pairs of which exactly one holds. A wiped core is in the plan, so `core-wiped` excludes `no-core` as well."""


class StepPhase(StrEnum):
    """The phases that the catalog's commands belong to. Each is also a value of `schemas.plan.Phase`."""

    MIGRATE = Phase.MIGRATE.value
    SEED = Phase.SEED.value


class ForEach(StrEnum):
    """The names over which a step is repeated."""

    INTEGRATION = "integration"


def excludes(first: tuple[Condition, ...], second: tuple[Condition, ...]) -> bool:
    """Whether two lists of conditions can never hold in the same plan."""
    pairs = [*OPPOSITES.items(), (Condition.CORE_WIPED, Condition.NO_CORE)]
    return any((a in first and b in second) or (b in first and a in second) for a, b in pairs)


class RepeatUntil(Wire):
    """The repetition of a command that undoes one thing at a time."""

    until: Annotated[str, StringConstraints(min_length=1)]
    """The command is run again until its output has this text."""
    bound: Argv
    """argv of a command that is run at launch. The number of `[X]` lines in its output is the most repetitions that can
    be needed. An exit code other than 0 is no answer."""


class StepEntry(Wire):
    """One command of a service in one mode."""

    name: Name
    phase: StepPhase
    target: Name | None = None
    """The middle part of the step's name; the service's name unless given."""
    argv: Argv
    when: tuple[Condition, ...] = ()
    for_each: ForEach | None = None
    """Plan the step once for each name. The name is appended to the step's name and becomes the argument
    `{integration}`."""
    databases: tuple[Name, ...] | None = None
    """The databases of the service that the command writes to: all of them unless given, none if empty."""
    timeout: Annotated[float, Field(ge=1, le=86_400)] = 600.0
    """Seconds."""
    idempotent: Idempotency
    check: tuple[str, ...] = ()
    """For `rerun-after-check`: argv of a command that exits 0 when the step's command has to run again, and 99 when
    nothing is left to do.

    Any other exit code is no answer: nothing is launched, and the step is tried again later. Beware of pipes: they hide
    that their first program failed.
    """
    scope: Scope = Scope.DATABASE
    run_in: RunIn = RunIn.SERVICE
    destructive: bool | None = None
    """Whether the command changes data that only a backup brings back. Unless given, it does where it writes to a
    database."""
    skippable: bool = False
    """Whether a person may go on without the step."""
    repeat_until: RepeatUntil | None = None
    checks: tuple[CheckEntry, ...] = ()
    """What the daemon itself has to see in a database once the command ended well."""
    migrated: bool | None = None
    """Whether the databases that the command writes to have all migrations once it ended. Unless given, they do, except
    after a command that repeats: that one undoes migrations. `true` says that migrating is all that the command is for:
    one of phase `seed` then needs no sign beside the ledger."""
    configured_seed: ConfiguredSeed = ConfiguredSeed.DETECT
    """What follows where the image configures a seed that Prisma runs unasked after a reset. The option `--skip-seed`
    in the command, or in the npm scripts that it runs, makes every seed harmless."""
    fail_on: LinePattern | None = None
    """A regular expression. A line of the output that matches means failure although the exit code is 0."""
    failures: tuple[Name, ...] = ()
    """Names of sets of known failures, besides those of the service."""

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
        if self.checks and self.repeat_until is not None:
            raise ValueError("a step that repeats has no checks: give them to the step after it")
        return self


class VerifyEntry(Wire):
    """A command that has to pass at the end of a reset. It changes nothing."""

    name: Name | None = None
    """The last part of the step's name, where a service has several verifications."""
    argv: Argv
    when: tuple[Condition, ...] = ()
    databases: tuple[Name, ...] | None = None
    timeout: Annotated[float, Field(ge=1, le=3600)] = 120.0
    fail_on: LinePattern | None = None
    """A regular expression. A line of the output that matches means failure although the exit code is 0."""
    pass_on: LinePattern | None = None
    """A regular expression. Without a line of the output that matches the answer is "can't tell": a failure."""
    failures: tuple[Name, ...] = ()


class DoctorCommand(Wire):
    """A command that `resetd doctor` runs in a service's pod. It changes nothing."""

    name: Name
    argv: Argv
    timeout: Annotated[float, Field(ge=1, le=3600)] = 60.0
    fail_on: LinePattern | None = None
    pass_on: LinePattern | None = None


def _known(failure: Failure) -> Failure:
    if failure.pattern is not None:
        _pattern(failure.pattern)
    elif not failure.codes:
        raise ValueError("a known failure needs codes or a pattern")
    if not all(re.fullmatch(r"\w+", code) for code in failure.codes):
        raise ValueError("a code is a word: letters, digits and _")
    Reason(failure.reason)
    return failure


KnownFailure = Annotated[Failure, AfterValidator(_known)]
"""A known failure in the catalog: it has codes or a pattern that compiles, and its reason is one of the closed list."""
