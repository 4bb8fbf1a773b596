"""The operational parts of the catalog: checks, queues and retries, windows, schedules and notifications.

The daemon reads `doctor`, `queue`, `retry` and `windows`. The shapes of schedules and notifications are agreed, and a
catalog with them is valid, but nothing acts on them yet (`docs/architecture.md`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.requests import Mode, Option
from schemas.resets import ResetState
from schemas.wire import EnvironmentName, IntegrationName, Wire


def _known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name} is not a time zone of the IANA database")
    return name


_ANY_MOMENT = datetime(2026, 1, 1)  # noqa: DTZ001 - only whether the line ever comes
TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
CronLine = Annotated[str, StringConstraints(pattern=r"^\S+( \S+){4}$")]
"""Five fields, as in a CronJob's `schedule`."""

EnvironmentPattern = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*-]+$", max_length=63)]
"""The name of an environment, in which `*` stands for any text: `qa-*`, `*-sandbox`."""


class DoctorCheck(StrEnum):
    """What `resetd doctor` looks at without running a command in a pod."""

    PODS = "pods"  # kubectl get pods
    DEPLOYMENTS = "deployments"  # kubectl get deployments
    ARGOCD = "argocd"  # argocd app get
    LOGS = "logs"  # kubectl logs --tail
    SHARING = "sharing"  # whether it is known who shares what, as a plan needs it


class Doctor(Wire):
    """What `resetd doctor` does besides each service's own commands."""

    checks: tuple[DoctorCheck, ...] = tuple(DoctorCheck)
    log_lines: Annotated[int, Field(ge=1, le=10_000)] = 100


class Window(Wire):
    """Times in which resets of these environments may begin to destroy. At other times they wait in `queued`."""

    name: str
    environments: Annotated[tuple[EnvironmentPattern, ...], Field(min_length=1)]
    opens: CronLine
    duration_minutes: Annotated[int, Field(ge=1, le=10_080)]
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _opens_some_time(self) -> Self:
        try:
            next(CronSim(self.opens, _ANY_MOMENT))
        except (CronSimError, StopIteration):
            raise ValueError(f"{self.opens!r} is no line of a crontab that ever comes") from None
        return self


class Schedule(Wire):
    """A reset that is asked for at regular times, as a CronJob runs."""

    name: str
    environment: EnvironmentName
    mode: Mode = Mode.REFRESH
    services: tuple[str, ...] | None = None
    options: tuple[Option, ...] = ()
    integrations: tuple[IntegrationName, ...] = ()
    schedule: CronLine
    time_zone: TimeZone = "UTC"
    suspend: bool = False
    starting_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    """Seconds after its time at which a missed reset may still start; unless given, missed ones are skipped."""


class Queue(Wire):
    """How many resets may wait for one environment."""

    waiting: Annotated[int, Field(ge=1, le=100)] = 3


class Retry(Wire):
    """How a step is tried again after a temporary failure: with exponential back-off and full jitter."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """The most attempts at one step, the first included."""
    initial_delay: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """Seconds: the most that the first delay can be."""
    factor: Annotated[float, Field(ge=1, le=10)] = 2.0
    maximum_delay: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """Seconds: the most that any delay can be."""

    @model_validator(mode="after")
    def _delays_are_ordered(self) -> Self:
        if self.maximum_delay < self.initial_delay:
            raise ValueError("maximumDelay is below initialDelay")
        return self


class Notification(Wire):
    """A signed webhook that is called with statuses."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$")]
    """Address of the webhook, without a user or password."""
    secret_file: str
    """File with the secret that signs the calls."""
    states: tuple[ResetState, ...] = ()
    """States of which the webhook is told; empty for all."""
    environments: tuple[EnvironmentPattern, ...] = ()
    """Environments of which the webhook is told; empty for all."""
