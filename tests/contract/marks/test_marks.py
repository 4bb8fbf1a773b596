"""What every keeper of marks promises, in files and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.adapters.dumps.directory_marks import FileMarks
from daemon.adapters.dumps.s3_connection import S3Connection, open_bucket
from daemon.adapters.dumps.s3_marks import S3Marks
from daemon.ports.errors import TemporaryError
from daemon.ports.marks import Marks, StoredMark
from sandbox.s3.server import S3, serving
from schemas.marks import Launch, Mark, Position
from schemas.wire import AttemptId
from tests.memory.marks import MemoryMarks

NOW = datetime(2026, 11, 26, tzinfo=UTC)
STATE = "01a2185d-0000-7000-8000-000000000000"


KEYS = {"AKIASANDBOX": "s3-s3cret-K3y"}


@pytest.fixture
async def s3() -> AsyncIterator[S3]:
    """Serve an empty bucket."""
    async with serving("dumps", KEYS) as s3:
        yield s3


@pytest.fixture(params=["files", "bucket", "memory"])
def marks(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Marks:
    if request.param == "files":
        return FileMarks(tmp_path)
    if request.param == "memory":
        return MemoryMarks()
    s3: S3 = request.getfixturevalue("s3")
    ((key, secret),) = KEYS.items()
    for name, value in {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}.items():
        monkeypatch.setenv(name, value)
    return S3Marks(open_bucket(S3Connection(s3.name, "resetd", s3.endpoint, "eu-west-1", retries=0)))


def mark(number: int, *attempts: str) -> Mark:
    launches = tuple(Launch(attempt=AttemptId(attempt), environment="qa-sandbox") for attempt in attempts)
    return Mark(position=Position(number=number, digest="ab" * 16), at=NOW, launches=launches)


async def kept(marks: Marks, state: str = STATE) -> list[StoredMark]:
    async with aclosing(marks.newest_first(state)) as found:
        return [mark async for mark in found]


def only_file(directory: Path) -> Path:
    [file] = directory.rglob("*.json")
    return file


async def test_nothing_is_kept_at_first(marks: Marks) -> None:
    assert await kept(marks) == []
    assert await marks.states() == frozenset()


async def test_the_highest_position_comes_first_however_they_were_put(marks: Marks) -> None:
    numbers = [999, 1000, 7, 123_456_789_012, 1001, 998]
    for number in numbers:
        await marks.put(STATE, mark(number))
    assert [stored.mark.position.number for stored in await kept(marks)] == sorted(numbers, reverse=True)


async def test_a_mark_comes_back_as_it_was_put(marks: Marks) -> None:
    whole = mark(5, "reset/seed.los-core-api.system/1", "reset/git.qa-workflows/12")
    await marks.put(STATE, whole)
    [found] = await kept(marks)
    assert found.mark == whole
    last = found.mark.launches[1]
    assert (last.reset_id, last.step, last.number) == ("reset", "git.qa-workflows", 12)


async def test_marks_of_one_position_by_many_writers_are_all_kept(marks: Marks) -> None:
    await asyncio.gather(*(marks.put(STATE, mark(5, f"reset/seed.a/{number}")) for number in range(20)))
    assert len({stored.mark.launches[0].attempt for stored in await kept(marks)}) == 20


async def test_state_databases_are_kept_apart(marks: Marks) -> None:
    await marks.put(STATE, mark(5))
    await marks.put("other", mark(6))
    assert await marks.states() == {STATE, "other"}
    assert [stored.mark.position.number for stored in await kept(marks, "other")] == [6]


async def test_what_is_set_aside_is_no_mark_any_more_and_may_be_gone_already(marks: Marks) -> None:
    for number in (5, 6, 7):
        await marks.put(STATE, mark(number))
    newest = (await kept(marks))[:2]
    await marks.set_aside(STATE, newest)
    await marks.set_aside(STATE, newest)
    assert [stored.mark.position.number for stored in await kept(marks)] == [5]


async def test_a_file_that_was_not_finished_is_no_mark(tmp_path: Path) -> None:
    marks = FileMarks(tmp_path)
    await marks.put(STATE, mark(5))
    file = only_file(tmp_path)
    (file.parent / f"{9:018d}-none-x.json.partial").write_bytes(b"{")
    assert [stored.mark.position.number for stored in await kept(marks)] == [5]


async def test_a_mark_that_can_not_be_read_stops_everything(tmp_path: Path) -> None:
    marks = FileMarks(tmp_path)
    await marks.put(STATE, mark(5))
    file = only_file(tmp_path)
    file.write_bytes(b"\x00")
    with pytest.raises(TemporaryError):
        await kept(marks)


def old(number: int, days: int) -> Mark:
    return mark(number).model_copy(update={"at": NOW - timedelta(days=days)})


async def positions(marks: Marks) -> list[int]:
    return [stored.mark.position.number for stored in await kept(marks)]


async def test_old_marks_go_and_it_is_told_and_the_newest_stay_however_old_they_are(marks: Marks) -> None:
    numbers = [1, 999, 1000, 2000, 3000]
    for number in numbers:
        await marks.put(STATE, old(number, days=90))
    await marks.put("other", old(1, days=90))
    assert await marks.pruned_until(STATE) is None
    assert await marks.prune(STATE, before=NOW) == 3
    assert await positions(marks) == [3000, 2000]
    assert await marks.pruned_until(STATE) == NOW
    assert await marks.prune(STATE, before=NOW + timedelta(days=1)) == 0
    assert await marks.pruned_until(STATE) == NOW
    assert len(await kept(marks, "other")) == 1


async def test_an_old_mark_above_a_young_one_stays(marks: Marks) -> None:
    for number, days in ((1, 90), (1000, 5), (2000, 90), (3000, 90), (4000, 1)):
        await marks.put(STATE, old(number, days))
    assert await marks.prune(STATE, before=NOW - timedelta(days=30)) == 1
    assert await positions(marks) == [4000, 3000, 2000, 1000]


async def test_where_no_mark_is_old_nothing_was_pruned(marks: Marks) -> None:
    for number in (1, 1000, 2000, 3000):
        await marks.put(STATE, old(number, days=5))
    assert await marks.prune(STATE, before=NOW - timedelta(days=30)) == 0
    assert await marks.pruned_until(STATE) is None
    assert await marks.prune("nobody", before=NOW) == 0
    assert await marks.states() == {STATE}


async def test_a_bucket_goes_whole_or_stays_whole(tmp_path: Path) -> None:
    marks = FileMarks(tmp_path)
    for number, days in ((1, 90), (2, 5), (1000, 5), (2000, 5)):
        await marks.put(STATE, old(number, days))
    assert await marks.prune(STATE, before=NOW - timedelta(days=30)) == 0
    assert await positions(marks) == [2000, 1000, 2, 1]


async def test_buckets_that_hold_no_mark_yet_keep_no_others_from_staying(tmp_path: Path) -> None:
    marks = FileMarks(tmp_path)
    for number in (1, 1000, 2000):
        await marks.put(STATE, old(number, days=90))
    for bucket in (3, 4):
        (tmp_path / "marks" / STATE / f"{bucket:015d}").mkdir()
    assert await marks.prune(STATE, before=NOW) == 1
    assert await positions(marks) == [2000, 1000]


async def test_a_pruning_that_ended_in_the_middle_is_told_and_made_again(tmp_path: Path) -> None:
    marks = FileMarks(tmp_path)
    for number in (1, 2, 1000, 2000):
        await marks.put(STATE, old(number, days=90))
    removed: list[str] = []

    def killed(path: Path, *, missing_ok: bool = False) -> None:  # noqa: ARG001 - as pathlib's
        if removed:
            raise KeyboardInterrupt
        removed.append(path.name)
        path.rename(tmp_path / "gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            await marks.prune(STATE, before=NOW)
    assert await marks.pruned_until(STATE) == NOW
    assert await positions(marks) == [2000, 1000, 2]
    assert await marks.prune(STATE, before=NOW) == 1
    assert await positions(marks) == [2000, 1000]
