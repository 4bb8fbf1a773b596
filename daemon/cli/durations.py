"""Durations and moments as people type and read them."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import TypeAdapter, ValidationError

from daemon.cli.exit_codes import EndError, Exit
from daemon.config.environment_variables import Duration

_TIME = re.compile(r"\d\d?:\d\d(:\d\d)?")
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


def until_moment(text: str) -> datetime:
    """Read a moment to come, with its zone.

    It is a duration from now (`2h`), a time of day (`18:00`, the next one here), or a date and time (RFC 3339; in local
    time where it has no offset), also with the name of a zone behind it (`2026-12-01 18:00 Europe/Berlin`).

    Raises:
        EndError: the text is none of these, or is over.
    """
    now = datetime.now().astimezone()
    moment = _moment_to_come(text.strip(), now)
    if moment <= now:
        raise EndError(Exit.USAGE, f"{in_words(moment)} is over")
    return moment


def in_words(moment: datetime) -> str:
    """Say a moment with its zone, and in UTC where that is another one."""
    local = f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname()}"
    return local if not moment.utcoffset() else f"{local} ({moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ})"


def _moment_to_come(text: str, now: datetime) -> datetime:
    words, _, zone = text.rpartition(" ")
    if words and "/" in zone:
        try:
            return datetime.fromisoformat(words).replace(tzinfo=ZoneInfo(zone))
        except (ValueError, ZoneInfoNotFoundError) as error:
            raise EndError(Exit.USAGE, f"{text} is no moment in a time zone") from error
    with suppress(ValueError):
        today = datetime.combine(now.date(), time.fromisoformat(text)) if _TIME.fullmatch(text) else None
        if today is not None:
            later = (today.astimezone(), (today + timedelta(days=1)).astimezone())
            return next(each for each in later if each > now)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now + timedelta(seconds=seconds_of(text))
    return moment if moment.tzinfo else moment.astimezone()


def age(moment: str | None) -> str:
    """Say how long ago a moment (RFC 3339) was, in the largest unit that fits: `3d`, `5h`, `2m`, `40s`."""
    if not moment:
        return ""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"
