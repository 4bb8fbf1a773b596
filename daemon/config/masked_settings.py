"""Lists the settings in force for people to see, with secrets masked."""

from __future__ import annotations

import difflib
import os
from datetime import timedelta
from typing import NamedTuple

from pydantic import SecretStr

from daemon.config.environment_variables import PREFIX, is_secret, variable_of
from daemon.config.settings import ClientSettings, Settings
from daemon.redaction import redact

_MASK = "**********"
# The daemon sets the first for commands in pods. The kubelet sets the others for a Service named `resetd`.
_NOT_OURS = ("RESETD_ATTEMPT", "RESETD_SERVICE_", "RESETD_PORT")


class Row(NamedTuple):
    """A setting. `origin` is `default`, `environment`, or the file that the value was read from."""

    name: str
    value: str
    origin: str


def in_force(settings: Settings) -> tuple[Row, ...]:
    """List every setting of the daemon. In a URL only the password is masked; any other secret is masked as a whole."""
    return tuple(
        Row(variable_of(name), _shown(name, settings), _origin(name)) for name in Settings.model_fields
    )


def unknown() -> tuple[tuple[str, str | None], ...]:
    """List variables that look like settings and are none, each with the setting that may have been meant, or None."""
    known: set[str] = set()
    for name, field in (ClientSettings.model_fields | Settings.model_fields).items():
        known.add(variable_of(name))
        if is_secret(field):
            known.add(f"{variable_of(name)}_FILE")
    found = sorted(
        variable
        for variable in os.environ
        if variable.startswith(PREFIX) and variable not in known and not variable.startswith(_NOT_OURS)
    )
    return tuple(
        (variable, next(iter(difflib.get_close_matches(variable, known, 1)), None)) for variable in found
    )


def _shown(name: str, settings: Settings) -> str:
    value = getattr(settings, name)
    if name == "database_url":
        return redact(settings.state_url.get_secret_value())
    if name == "backup_url":
        return redact(settings.backups)
    if name == "public_url":
        return settings.api_url
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, timedelta):
        return _written(value)
    return "" if value is None else redact(str(value))


def _written(value: timedelta) -> str:
    """Write a duration as people do: 24h, 90m, 10s."""
    seconds = value.total_seconds()
    for unit, length in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= length and not seconds % length:
            return f"{seconds / length:g}{unit}"
    return f"{seconds * 1000:g}ms"


def _origin(name: str) -> str:
    variable = variable_of(name)
    if os.environ.get(variable) or (name == "argocd_namespace" and variable in os.environ):
        return "environment"
    return os.environ.get(f"{variable}_FILE") or "default"
