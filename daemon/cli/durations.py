"""Durations and moments as people type and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from daemon.cli.exit_codes import EndError, Exit
from daemon.config.environment_variables import Duration

_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)


def seconds_of(text: str) -> float:
    """Read a duration like `24h`, `90m` or `1h30m`, in seconds. A bare number is seconds.

    Raises:
        EndError: the text is no duration.
    """
    try:
        return _DURATION.validate_python(f"{text}s" if text.isdecimal() else text).total_seconds()
    except ValidationError as error:
        raise EndError(Exit.USAGE, f"{text} is no duration", "Write it like 30m, 90s or 1h30m.") from error


def moment_of(text: str) -> datetime:
    """Read a moment: RFC 3339 (in local time where it has no offset), or a duration before now. The answer is in UTC.

    Raises:
        EndError: the text is neither.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC) - timedelta(seconds=seconds_of(text))


def age(moment: str | None) -> str:
    """Say how long ago a moment (RFC 3339) was, in the largest unit that fits: `3d`, `5h`, `2m`, `40s`."""
    if not moment:
        return ""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"
