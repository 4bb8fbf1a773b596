"""What every keeper of marks promises, in files and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.adapters.dumps.s3_connection import S3Connection, open_bucket
from daemon.adapters.dumps.s3_marks import S3Marks
from daemon.adapters.files.marks import FileMarks
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
