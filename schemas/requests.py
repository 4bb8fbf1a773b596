"""Events that come in: the data of each CloudEvent type that resetd handles (`docs/asyncapi.yaml`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.wire import (
    EnvironmentName,
    EnvironmentText,
    IntegrationName,
    ResetId,
    Sequence,
    Text,
    Time,
    Wire,
)

RESET_REQUESTED = "com.fuse.environment.reset.requested.v1"
RESUME_REQUESTED = "com.fuse.environment.reset.resume-requested.v1"
CANCEL_REQUESTED = "com.fuse.environment.reset.cancel-requested.v1"
ENVIRONMENT_PROVISIONED = "com.fuse.environment.provisioned.v1"
ENVIRONMENT_DEPROVISIONED = "com.fuse.environment.deprovisioned.v1"

Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]
"""An idempotency key: chosen by others, without control characters."""


class Mode(StrEnum):
    """How deep a reset goes; the table of what each runs is in the catalog."""

    WIPE = "wipe"  # drop all tables and recreate, then seed
    REFRESH = "refresh"  # the guide's quick reference: migrate, then seed
    SEED = "seed"  # seed only


class Option(StrEnum):
    """Additions to a mode; each belongs to one service."""

    MOCK = "mock"
    POPULATE_CORE_ENTITIES = "populate-core-entities"
    KEEP_USER_DATA = "keep-user-data"


class ResetWanted(Wire):
    """What is asked for, without who asks: the body of a request over HTTP."""

    environment: EnvironmentText
    """Text, not a checked name: a request that names none of the cluster's is rejected by that reason."""
    mode: Mode = Mode.REFRESH
    services: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=50)
    """None: all of the catalog. A subset keeps the catalog's order."""
    service_modes: dict[str, Mode] = Field(default_factory=dict)
    options: tuple[Option, ...] = ()
    integrations: tuple[IntegrationName, ...] = Field(default=(), max_length=100)
    core: bool | None = None
    """True only with a subset that must migrate or wipe the core schema."""
    git: bool | None = None
    """None: true for wipe and refresh, false for seed."""
    dry_run: bool = False
    reason: Text | None = None
    not_before: Time | None = None
    idempotency_key: Name | None = None


class ResetRequested(ResetWanted):
    """Data of `reset.requested`."""

    requested_by: Text
    """Over Kafka a claim; over HTTP the token's subject."""


class RequestReference(Wire):
    """Names a request by the event that carried it."""

    source: Text
    id: Text


class _Reference(Wire):
    environment: EnvironmentName
    reset_id: ResetId | None = None
    request: RequestReference | None = None
    idempotency_key: Name | None = None
    requested_by: Text
    reason: Text | None = None

    @model_validator(mode="after")
    def _names_exactly_one(self) -> Self:
        given = [self.reset_id, self.request, self.idempotency_key]
        if sum(one is not None for one in given) != 1:
            raise ValueError("name the reset by exactly one of resetId, request, idempotencyKey")
        return self


class ResumeRequested(_Reference):
    """Data of `reset.resume-requested`."""

    sequence: Sequence | None = None
    """The last status that the sender saw; an older one than the reset's is refused."""


class CancelRequested(_Reference):
    """Data of `reset.cancel-requested`."""


class EnvironmentProvisioned(Wire):
    """Data of `environment.provisioned`: leads to one `refresh` once ArgoCD says Synced and Healthy."""

    environment: EnvironmentName
    provisioned_by: Text


class EnvironmentDeprovisioned(Wire):
    """Data of `environment.deprovisioned`: what waits for that environment is cancelled."""

    environment: EnvironmentName
    provisioned_by: Text | None = None
    deprovisioned_by: Text | None = None
