"""How values look on the wire: camelCase JSON names, unknown fields refused, times in UTC, values frozen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, NewType

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

ResetId = NewType("ResetId", str)
"""UUIDv7, lower case, with hyphens."""

StepName = NewType("StepName", str)
"""`PHASE.TARGET[.NAME]`, such as `seed.los-core-api.system`."""

AttemptId = NewType("AttemptId", str)
"""`{reset}/{step}/{n}`, n from 1; known before the attempt starts."""

ResourceKey = NewType("ResourceKey", str)
"""`database/{system identifier}/{name}` or `repository/{owner}/{name}/{branch}`."""

ServiceName = NewType("ServiceName", str)


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC it is outside of the years 1 to 9999") from error


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment, aware, in UTC; RFC 3339 on the wire."""

Sequence = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""A status number of a reset; the databases' column takes no larger one."""

EnvironmentName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?-[a-z0-9]+$", min_length=3, max_length=63),
]
"""`{client}-{kind}`, a Kubernetes namespace (RFC 1123 label); the kind follows the LAST hyphen."""

EnvironmentText = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,253}$")]
"""What somebody wrote as an environment's name; whether there is such a one is for the planner to say."""

IntegrationName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)]
"""A seeder of los-integrations; always an argument of a command, never part of its text."""

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{1,1000}$")]
"""Something a person wrote: a reason, a name. Without control characters: it reaches tables and terminals."""


def without_nul(text: str) -> str:
    """Text as databases keep it: PostgreSQL takes no character NUL, so U+FFFD stands in its place."""
    return text.replace("\x00", "\ufffd")


class Wire(BaseModel):
    """Base of all that is read from or written to the outside."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


def client_of(environment: str) -> str:
    """The client of an environment: what stands before the last hyphen (it may hold hyphens)."""
    return environment.rpartition("-")[0]


def kind_of(environment: str) -> str:
    """The kind of an environment: what stands after the last hyphen."""
    return environment.rpartition("-")[2]
