"""Events that come in: the data of each type of CloudEvent that resetd handles (`docs/asyncapi.yaml`)."""

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
"""An idempotency key: text of 1 to 255 characters that the requester chose, without control characters."""


class Mode(StrEnum):
    """How deep a reset goes. The catalog says what each mode runs."""

    WIPE = "wipe"  # drop all tables and recreate, then seed
    REFRESH = "refresh"  # the guide's quick reference: migrate, then seed
    SEED = "seed"  # seed only


class Option(StrEnum):
    """Additions to a mode. Each belongs to one service."""

    MOCK = "mock"
    POPULATE_CORE_ENTITIES = "populate-core-entities"
    KEEP_USER_DATA = "keep-user-data"


class ResetWanted(Wire):
    """A request without who asks: the body of a request over HTTP."""

    environment: EnvironmentText
    """The environment to reset. Any text is taken; a request is rejected where the cluster has no such environment."""
    mode: Mode = Mode.REFRESH
    services: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=50)
    """The services to reset, in the catalog's order; all of the catalog's unless given."""
    service_modes: dict[str, Mode] = Field(default_factory=dict)
    """Service -> its mode, where that is another than `mode`."""
    options: tuple[Option, ...] = ()
    integrations: tuple[IntegrationName, ...] = Field(default=(), max_length=100)
    core: bool | None = None
    """Only with a subset of the services: true where the reset has to migrate or wipe the core schema."""
    git: bool | None = None
    """Whether the client's repository goes back to its initial commit; unless given, it does except in mode `seed`."""
    dry_run: bool = False
    """Whether only a plan is asked for."""
    reason: Text | None = None
    """Why the reset is asked for, for people."""
    not_before: Time | None = None
    """When the reset may start."""
    idempotency_key: Name | None = None
    """Requests with one key and one content lead to one reset."""


class ResetRequested(ResetWanted):
    """Data of `reset.requested`."""

    requested_by: Text
    """Who asks: over Kafka a claim, over HTTP the token's subject."""


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
        if sum(name is not None for name in given) != 1:
            raise ValueError("name the reset by exactly one of resetId, request, idempotencyKey")
        return self


class ResumeRequested(_Reference):
    """Data of `reset.resume-requested`."""

    sequence: Sequence | None = None
    """The last status that the sender saw. The event is refused where the reset has a later one."""


class CancelRequested(_Reference):
    """Data of `reset.cancel-requested`."""


class EnvironmentProvisioned(Wire):
    """Data of `environment.provisioned`. It leads to one `refresh`, once ArgoCD says Synced and Healthy."""

    environment: EnvironmentName
    provisioned_by: Text


class EnvironmentDeprovisioned(Wire):
    """Data of `environment.deprovisioned`. Resets that wait for the environment are cancelled."""

    environment: EnvironmentName
    provisioned_by: Text | None = None
    deprovisioned_by: Text | None = None
