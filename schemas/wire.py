"""How values look on the wire: JSON names in camelCase, times in UTC, no unknown fields. Values are immutable."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, NewType

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

ResetId = NewType("ResetId", str)
"""UUIDv7, lower case, with hyphens."""

StepName = NewType("StepName", str)
"""`PHASE.TARGET[.NAME]`, such as `seed.los-core-api.system`."""

AttemptId = NewType("AttemptId", str)
"""`{reset}/{step}/{n}` with n from 1. It is known before the attempt starts."""

ResourceKey = NewType("ResourceKey", str)
"""`database/{system identifier}/{name}`, `repository/{owner}/{name}/{branch}`, or
`workload/{environment}/{kind}/{name}`."""

ServiceName = NewType("ServiceName", str)
"""The name of a service in the catalog."""


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC it is outside of the years 1 to 9999") from error


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment in UTC, as an aware `datetime`; RFC 3339 on the wire."""

Sequence = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""The sequence of a reset's status. The column in the database takes no larger one."""

EnvironmentName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?-[a-z0-9]+$", min_length=3, max_length=63),
]
"""`{client}-{kind}`: a Kubernetes namespace (an RFC 1123 label). The kind follows the LAST hyphen."""

TRACE_PARENT = re.compile(r"[!-~]{1,1000}")
"""A header's value that Kafka carries on and the databases take as text. Any other is ignored (W3C Trace Context)."""

EnvironmentText = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,253}$")]
"""What somebody wrote as an environment's name. The planner says whether there is such an environment."""

IntegrationName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63)]
"""The name of a seeder of los-integrations. It is always a whole argument of a command."""

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]{1,1000}$")]
"""Something that a person wrote: a reason, a name. It has no control characters, because it reaches terminals."""


def without_nul(text: str) -> str:
    """Return text as every database keeps it: with U+FFFD for the character NUL, which PostgreSQL refuses."""
    return text.replace("\x00", "\ufffd")


class Wire(BaseModel):
    """The base of all shapes that are read from the outside or written to it."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


def client_of(environment: str) -> str:
    """Return the client of an environment: what stands before the last hyphen. It may itself hold hyphens."""
    return environment.rpartition("-")[0]


def kind_of(environment: str) -> str:
    """Return the kind of an environment: what stands after the last hyphen."""
    return environment.rpartition("-")[2]
