"""Maintenance windows: when the first destructive step of a reset may begin, and for which window people agree. Pure.

1. A window bounds the first destructive step alone. What has crossed it runs on when the window closes.
2. An environment without a window in the catalog is bound by none. A reset is bound by the windows of every environment
   that it concerns: each of those that have windows has to be in one.
3. People agree for the window that comes next, or that is open. Asking and consent last until an hour after its start;
   where that is over and it is still open, as long as it is, and no longer than consents last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from cronsim import CronSim

from schemas.catalog.operations import Window

CONSENT_AFTER_START = timedelta(hours=1)
"""How long after a window's start people may agree for it, and may their consent be used."""


@dataclass(frozen=True)
class Opening:
    """One time at which a window is open."""

    name: str
    opens: datetime
    """In UTC, as `closes`: clocks may change in between."""
    closes: datetime
    time_zone: str
    """The window's own, in which people know it."""

    @property
    def text(self) -> str:
        """Say it for people: `the window night, from 2026-12-05 22:00 CET to 2026-12-06 02:00 CET`."""
        local = (each.astimezone(ZoneInfo(self.time_zone)) for each in (self.opens, self.closes))
        first, last = (f"{each:%Y-%m-%d %H:%M} {each.tzname()}" for each in local)
        return f"the window {self.name}, from {first} to {last}"


@dataclass(frozen=True)
class Bound:
    """Whether a first destructive step may begin now, and which opening it is for."""

    is_open: bool
    opening: Opening


def bound(windows: Iterable[Window], environments: Collection[str], now: datetime) -> Bound | None:
    """Return what the windows of these environments say at `now`; None where none of them has a window."""
    windows = tuple(windows)
    bounds = [
        found
        for environment in sorted(environments)
        if (found := _of_environment([each for each in windows if _matches(each, environment)], now))
    ]
    closed = [each for each in bounds if not each.is_open]
    if closed:
        return max(closed, key=lambda each: each.opening.opens)
    return min(bounds, key=lambda each: each.opening.closes, default=None)


def agree_until(found: Bound | None, now: datetime, ttl: timedelta) -> datetime:
    """Return until when people who are asked at `now` may agree, and their consent may be used.

    `ttl` is how long a consent lasts where no window bounds it.
    """
    if found is None:
        return now + ttl
    an_hour = found.opening.opens + CONSENT_AFTER_START
    return max(an_hour, min(now + ttl, found.opening.closes)) if found.is_open else an_hour


def _of_environment(windows: Collection[Window], now: datetime) -> Bound | None:
    if not windows:
        return None
    opened = [last for each in windows if (last := _last(each, now)).closes > now]
    if opened:
        return Bound(is_open=True, opening=max(opened, key=lambda each: each.closes))
    return Bound(
        is_open=False, opening=min((_next(each, now) for each in windows), key=lambda each: each.opens)
    )


def _matches(window: Window, environment: str) -> bool:
    return any(fnmatchcase(environment, pattern) for pattern in window.environments)


def _last(window: Window, now: datetime) -> Opening:
    """The opening that began last, at `now` at the latest."""
    before = CronSim(window.opens, _local(window, now + timedelta(minutes=2)), reverse=True)
    return _opening(window, next(moment for moment in before if moment.astimezone(UTC) <= now))


def _next(window: Window, now: datetime) -> Opening:
    after = CronSim(window.opens, _local(window, now - timedelta(minutes=2)))
    return _opening(window, next(moment for moment in after if moment.astimezone(UTC) > now))


def _local(window: Window, moment: datetime) -> datetime:
    return moment.astimezone(ZoneInfo(window.time_zone))


def _opening(window: Window, opens: datetime) -> Opening:
    begins = opens.astimezone(UTC)
    closes = begins + timedelta(minutes=window.duration_minutes)
    return Opening(window.name, begins, closes, window.time_zone)
