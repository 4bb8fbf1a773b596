"""Windows bound the first destructive step in their own time zones, whatever clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.catalog.operations import Window
from statemachines.windows import Bound, agree_until, bound

DAY = timedelta(hours=24)


def window(opens: str = "0 22 * * 6", minutes: int = 240, zone: str = "Europe/Berlin", *of: str) -> Window:
    return Window(
        name="night",
        environments=of or ("los-*",),
        opens=opens,
        duration_minutes=minutes,
        time_zone=zone,
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def found(*windows: Window, now: datetime, of: tuple[str, ...] = ("los-production",)) -> Bound:
    standing = bound(windows, of, now)
    assert standing is not None
    return standing


def test_an_environment_without_a_window_is_bound_by_none() -> None:
    assert bound([window()], ["qa-sandbox"], at("2026-12-01T12:00")) is None
    assert agree_until(None, at("2026-12-01T12:00"), DAY) == at("2026-12-02T12:00")


@pytest.mark.parametrize(
    ("now", "is_open", "opens"),
    [
        ("2026-12-01T12:00", False, "2026-12-05T21:00"),
        ("2026-12-05T20:59:59", False, "2026-12-05T21:00"),
        ("2026-12-05T21:00", True, "2026-12-05T21:00"),
        ("2026-12-06T00:59:59", True, "2026-12-05T21:00"),
        ("2026-12-06T01:00", False, "2026-12-12T21:00"),
        ("2026-07-04T19:59", False, "2026-07-04T20:00"),
        ("2026-07-04T20:00", True, "2026-07-04T20:00"),
    ],
)
def test_it_opens_at_its_own_zones_time_and_is_open_as_long_as_it_says(
    now: str, opens: str, *, is_open: bool
) -> None:
    standing = found(window(), now=at(now))
    assert (standing.is_open, standing.opening.opens) == (is_open, at(opens))
    assert standing.opening.closes - standing.opening.opens == timedelta(hours=4)


def test_it_is_said_with_its_zone() -> None:
    said = found(window(), now=at("2026-12-01T12:00")).opening.text
    assert said == "the window night, from 2026-12-05 22:00 CET to 2026-12-06 02:00 CET"


def test_every_environment_that_is_concerned_has_to_be_in_one_of_its_windows() -> None:
    nightly, weekly = window("0 1 * * *", 60, "UTC", "qa-*"), window()
    both = ("qa-sandbox", "los-production", "free-sandbox")
    standing = found(nightly, weekly, now=at("2026-12-02T01:30"), of=both)
    assert (standing.is_open, standing.opening.opens) == (False, at("2026-12-05T21:00"))
    assert found(nightly, weekly, now=at("2026-12-02T01:30"), of=("qa-sandbox",)).is_open


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-12-01T12:00", "2026-12-05T22:00"),  # days before: an hour after its start
        ("2026-12-05T21:30", "2026-12-06T01:00"),  # open: until it closes
        ("2026-12-06T00:30", "2026-12-06T01:00"),
        ("2026-12-06T01:30", "2026-12-12T22:00"),
    ],
)
def test_people_agree_for_one_window(now: str, until: str) -> None:
    assert agree_until(found(window(), now=at(now)), at(now), DAY) == at(until)


@pytest.mark.parametrize("opens", ["0 25 * * *", "0 0 30 2 *", "x * * * *", "* * * *"])
def test_a_line_that_never_comes_is_no_window(opens: str) -> None:
    with pytest.raises(ValidationError):
        window(opens)


moments = st.integers(0, 2 * 365 * 24 * 3600).map(
    lambda seconds: at("2026-01-01T00:00") + timedelta(seconds=seconds)
)
lines = st.sampled_from(["0 22 * * 6", "30 2 * * *", "*/20 * * * *", "0 0 1 * *", "15 3 * 3,10 0"])
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])


@given(moments, lines, zones, st.integers(1, 2000))
def test_at_every_moment_it_is_open_exactly_within_its_opening(
    now: datetime, line: str, zone: str, minutes: int
) -> None:
    standing = found(window(line, minutes, zone), now=now)
    opening = standing.opening
    assert (opening.closes - opening.opens) == timedelta(minutes=minutes)
    assert standing.is_open is (opening.opens <= now < opening.closes)
    assert standing.is_open or opening.opens > now
    until = agree_until(standing, now, DAY)
    assert until > now
    assert standing.is_open or until == opening.opens + timedelta(hours=1)
    assert found(window(line, minutes, zone), now=opening.opens).is_open
