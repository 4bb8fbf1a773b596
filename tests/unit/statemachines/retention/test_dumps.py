"""Retention of dumps counts resets, and never takes the way back of one that no later one has replaced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.resets import ResetState
from schemas.wire import ResetId, ResourceKey
from statemachines.retention import KeptDump, dumps_that_may_go

NOW = datetime(2026, 11, 30, tzinfo=UTC)
CORE = ResourceKey("database/1/core")


def dump(
    reset: int,
    number: int = 1,
    *,
    days: float | None = None,
    state: ResetState = ResetState.DONE,
    first: bool = True,
    proven: bool = True,
    resource: ResourceKey = CORE,
) -> KeptDump:
    """Make a dump of the reset of that number, which is as many days younger than one of 1,000 days ago."""
    at = NOW - timedelta(days=1000 - reset if days is None else days)
    return KeptDump(
        f"{resource}/{reset}/{number}",
        resource,
        ResetId(f"{reset:05}"),
        state,
        at,
        first=first,
        proven=proven,
    )


def going(*dumps: KeptDump, keep: int = 1, days: int = 30) -> list[str]:
    found = dumps_that_may_go(dumps, keep=keep, older_than=NOW - timedelta(days=days))
    return [dump.path.removeprefix("database/1/core/") for dump in found]


def test_resets_are_counted_and_not_their_dumps() -> None:
    resumed = [dump(2, number, first=number == 1) for number in range(1, 7)]
    assert going(dump(1), *resumed, dump(3), keep=2) == ["1/1"]


def test_young_dumps_stay_however_many_there_are() -> None:
    assert going(*(dump(number, days=30 - number) for number in range(1, 20))) == []


def test_a_resets_first_dump_goes_last() -> None:
    old = [dump(1, 1), dump(1, 2, first=False), dump(1, 3, first=False)]
    assert going(*old, dump(2)) == ["1/2", "1/3", "1/1"]
    young_second = [dump(1, 1), dump(1, 2, first=False, days=3), dump(1, 3, first=False)]
    assert going(*young_second, dump(2)) == ["1/3"]


def test_nothing_of_a_reset_goes_before_a_later_one_of_that_database_is_done() -> None:
    later = [dump(number, state=ResetState.FAILED) for number in range(2, 8)]
    assert going(dump(1), *later) == []
    elsewhere = dump(9, resource=ResourceKey("database/1/other"))
    assert going(dump(1), *later, elsewhere) == []
    assert going(dump(1), *later, dump(8)) == [f"{number}/1" for number in range(1, 8)]


def test_the_newest_proven_dump_of_a_database_never_goes() -> None:
    assert going(dump(1), dump(2, proven=False)) == []


_DUMPS = st.lists(
    st.builds(
        dump,
        st.integers(1, 6),
        st.integers(1, 4),
        days=st.integers(0, 90),
        state=st.sampled_from([ResetState.DONE, ResetState.FAILED, ResetState.SEEDING]),
        first=st.booleans(),
        proven=st.booleans(),
        resource=st.sampled_from([CORE, ResourceKey("database/1/other")]),
    ),
    unique_by=lambda one: one.path,
    max_size=25,
)


@given(_DUMPS, st.integers(1, 4), st.integers(1, 60))
def test_whatever_is_stored_each_database_keeps_a_way_back(
    dumps: list[KeptDump], keep: int, days: int
) -> None:
    gone = set(dumps_that_may_go(dumps, keep=keep, older_than=NOW - timedelta(days=days)))
    for one in gone:
        assert one.taken_at < NOW - timedelta(days=days)
        of_one = [other for other in dumps if other.resource == one.resource]
        assert any(other.state is ResetState.DONE and other.reset_id > one.reset_id for other in of_one)
        assert len({other.reset_id for other in of_one if other.reset_id > one.reset_id}) >= keep
        if one.first:
            siblings = {other for other in of_one if other.reset_id == one.reset_id and not other.first}
            assert siblings <= gone
    for resource in {one.resource for one in dumps if one.proven}:
        assert {one for one in dumps if one.resource == resource and one.proven} - gone
