"""Durations and moments as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from daemon.cli.exit_codes import EndError, Exit
from daemon.config.environment_variables import Duration

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


def seconds_of(text: str) -> float:
    """Seconds of `24h`, `90m`, `1h30m`; a bare number is seconds.

    Raises:
        EndError: it is none.
    """
    try:
        return _DURATION.validate_python(f"{text}s" if text.isdecimal() else text).total_seconds()
    except ValidationError as error:
        raise EndError(Exit.USAGE, f"{text} is no duration", "Write it like 30m, 90s or 1h30m.") from error


def moment_of(text: str) -> datetime:
    """A moment in UTC: RFC 3339 (local time where it has no offset), or a duration before now.

    Raises:
        EndError: it is neither.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC) - timedelta(seconds=seconds_of(text))


def age(moment: str | None) -> str:
    """How long ago, in the largest unit that fits."""
    if not moment:
        return ""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"
