"""Reads settings from variables `RESETD_*`, secrets also from files, and durations as people write them.

`daemon.config.settings` lists the settings. An error never shows a value, because the value may be a secret.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "RESETD_"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if not _DURATION.fullmatch(text):
        raise ValueError("is no duration; write it like 24h, 90m, 10s or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    if not seconds:
        raise ValueError("has to be longer than nothing")
    return timedelta(seconds=seconds)


def _kept(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() in {"never", "0"}:
        return None
    return _duration(value)


def _is_web_address(value: str) -> str:
    if urlsplit(value).scheme not in {"http", "https"}:
        raise ValueError("is no web address; write it like https://resetd.example.com")
    return value.rstrip("/")


SettingsT = TypeVar("SettingsT", bound=BaseSettings)
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Kept = Annotated[timedelta | None, BeforeValidator(_kept)]
"""How long something is kept; None for good, which people write as `never` or `0`."""
WebAddress = Annotated[str, AfterValidator(_is_web_address)]


class SettingsError(Exception):
    """Settings that can't be used. `lines` says to people what is wrong, a line for each variable."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def variable_of(name: str) -> str:
    """The environment variable of a setting: `RESETD_API_PORT` of `api_port`."""
    return f"{PREFIX}{name.upper()}"


class SecretFiles(PydanticBaseSettingsSource):
    """Reads each field that holds a secret from the file that `RESETD_X_FILE` names, without the last line break."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Read the value of one field. The answer has the shape that pydantic wants.

        Raises:
            SettingsError: the file can't be read, is empty, or stands beside the variable itself.
        """
        secret = variable_of(field_name)
        variable = f"{secret}_FILE"
        path = os.environ.get(variable)
        if not path or not is_secret(field):
            return None, field_name, False
        if os.environ.get(secret):
            raise SettingsError((f"{variable}: {secret} is set as well; unset one of the two",))
        try:
            text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is not UTF-8 text"
            raise SettingsError(
                (f"{variable}: {path}: {why}; mount the secret or correct the path",)
            ) from error
        if not text:
            raise SettingsError((f"{variable}: {path} is empty; write the secret into it",))
        return text, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Read all values that are in files."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class Environment(BaseSettings):
    """Base of settings that are read from environment variables."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the names are pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values in code win over variables, and variables over files. No `.env` file is read."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        # Compose files pass `RESETD_X=` for what is not given. Only an empty `argocd_namespace` has a meaning.
        return {name: value for name, value in values.items() if value != "" or name == "argocd_namespace"}


def secret_file(name: str) -> Path | None:
    """Return the file that a secret setting was read from; None where it was not read from one."""
    path = os.environ.get(f"{variable_of(name)}_FILE")
    return Path(path) if path and not os.environ.get(variable_of(name)) else None


def is_secret(field: FieldInfo) -> bool:
    """Whether a field holds a secret. Then `RESETD_X_FILE` is read, too, and the value is never shown."""
    return "SecretStr" in str(field.annotation)


def read(kind: type[SettingsT], given: dict[str, Any]) -> SettingsT:
    """Read settings of one kind from environment variables. Values in `given` win.

    Raises:
        SettingsError: one line for each variable that is wrong.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        lines = tuple(line for fault in error.errors(include_input=False) for line in _lines(kind, fault))
        raise SettingsError(lines) from None


def _lines(kind: type[BaseSettings], error: ErrorDetails) -> tuple[str, ...]:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:  # the error is about several variables, and each line names its own
        return tuple(message.splitlines())
    name = str(error["loc"][0])
    variable = variable_of(name)
    if os.environ.get(variable, "").startswith("tcp://"):
        # A Service named `resetd-api` makes the kubelet set RESETD_API_PORT=tcp://ADDRESS:PORT.
        return (
            f"{variable}: is what Kubernetes sets for a Service; put `enableServiceLinks: false` into the pod",
        )
    default = kind.model_fields[name].default if name in kind.model_fields else None
    hint = f"correct it or unset it (default: {default})" if default is not None else "correct it or unset it"
    message = message[:1].lower() + message[1:]
    return (f"{variable}: {message}" if ";" in message else f"{variable}: {message}; {hint}",)
