"""What every keeper of output promises, in files and in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.adapters.files.logs import FileLogs
from daemon.ports.errors import TemporaryError
from daemon.ports.logs import Logs
from schemas.wire import AttemptId, ResetId
from tests.contract.logs.conftest import ATTEMPT, LIMIT, Stand

_NUMBERS = count(1)


async def test_nothing_is_read_where_nothing_was_kept(logs: Logs) -> None:
    assert await logs.read(ATTEMPT, 0, 100) == b""
    assert await logs.tail(ATTEMPT, 5) == ""
    assert await logs.size(ATTEMPT) == 0


async def test_output_is_read_from_any_offset_and_its_size_is_where_to_go_on(logs: Logs) -> None:
    await logs.keep(ATTEMPT, 0, b"one\ntwo\n")
    await logs.keep(ATTEMPT, await logs.size(ATTEMPT), "thr\u00e9e\n".encode())
    assert await logs.read(ATTEMPT, 4, 3) == b"two"
    assert await logs.read(ATTEMPT, 8, 100) == "thr\u00e9e\n".encode()
    assert await logs.tail(ATTEMPT, 2) == "two\nthr\u00e9e"
    assert await logs.tail(ATTEMPT, 0) == ""


async def test_attempts_are_kept_apart(logs: Logs) -> None:
    second = AttemptId(ATTEMPT[:-1] + "2")
    await logs.keep(ATTEMPT, 0, b"one")
    await logs.keep(second, 0, b"two")
    assert (await logs.read(ATTEMPT, 0, 9), await logs.read(second, 0, 9)) == (b"one", b"two")


async def test_what_is_stored_already_is_left_and_only_the_rest_is_added(logs: Logs) -> None:
    await logs.keep(ATTEMPT, 0, b"abcdef")
    await logs.keep(ATTEMPT, 3, b"XYZghi")
    await logs.keep(ATTEMPT, 0, b"abc")
    assert await logs.read(ATTEMPT, 0, 100) == b"abcdefghi"


async def test_it_is_said_whether_all_of_the_output_was_kept(logs: Logs) -> None:
    assert await logs.whole(ATTEMPT) == ("", True)
    await logs.keep(ATTEMPT, 0, b"one\n" * 200)
    assert await logs.whole(ATTEMPT) == ("one\n" * 200, True)
    await logs.keep(ATTEMPT, 1000, b"two\n")
    text, whole = await logs.whole(ATTEMPT)
    assert (text.endswith("two\n"), whole) == (True, False)


async def test_output_past_the_limit_is_not_all_that_there_was(logs: Logs) -> None:
    await logs.keep(ATTEMPT, 0, b"x" * (LIMIT + 1))
    text, whole = await logs.whole(ATTEMPT)
    assert (text.startswith("x" * LIMIT), whole) == (True, False)


async def test_output_that_the_disk_did_not_take_is_known_to_be_missing(stand: Stand) -> None:
    stand.fill()
    await stand.logs.keep(ATTEMPT, 0, b"one\n")
    stand.make_room()
    assert await stand.logs.whole(ATTEMPT) == ("", False)


async def test_output_that_comes_again_once_there_is_room_is_whole(stand: Stand) -> None:
    stand.fill()
    await stand.logs.keep(ATTEMPT, 0, b"one\n")
    stand.make_room()
    await stand.logs.keep(ATTEMPT, await stand.logs.size(ATTEMPT), b"one\ntwo\n")
    assert await stand.logs.whole(ATTEMPT) == ("one\ntwo\n", True)


async def test_output_that_the_disk_did_not_take_is_marked_once_there_is_room(stand: Stand) -> None:
    stand.fill()
    await stand.logs.keep(ATTEMPT, 0, b"x" * 100)
    stand.make_room()
    await stand.logs.keep(ATTEMPT, 100, b"end")
    text, whole = await stand.logs.whole(ATTEMPT)
    assert ("100 bytes of output are missing here" in text, text[100:], whole) == (True, "end", False)


async def test_missing_output_is_marked_and_no_offset_moves(logs: Logs) -> None:
    await logs.keep(ATTEMPT, 0, b"begin")
    await logs.keep(ATTEMPT, 200, b"end")
    assert await logs.size(ATTEMPT) == 203
    kept = await logs.read(ATTEMPT, 0, 300)
    assert kept.startswith(b"begin")
    assert b"195 bytes of output are missing here" in kept
    assert kept[200:] == b"end"


async def test_what_is_longer_than_the_limit_is_cut_once_and_marked(logs: Logs) -> None:
    for offset in range(0, 3 * LIMIT, 1000):
        await logs.keep(ATTEMPT, offset, b"x" * 1000)
    await logs.keep(ATTEMPT, await logs.size(ATTEMPT), b"more")
    kept = await logs.read(ATTEMPT, 0, 10 * LIMIT)
    assert kept[:LIMIT] == b"x" * LIMIT
    assert kept[LIMIT:] == b"\n[resetd: the output went on; it was not kept]\n"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=300), cuts=st.lists(st.integers(0, 299), max_size=8))
async def test_however_output_is_cut_and_repeated_the_same_bytes_are_kept(
    logs: Logs, data: bytes, cuts: list[int]
) -> None:
    attempt = AttemptId(f"reset/step/{next(_NUMBERS)}")
    for cut in sorted(min(cut, len(data)) for cut in cuts):
        start = max(0, min(cut, await logs.size(attempt)) - 10)
        await logs.keep(attempt, start, data[start:cut])
    await logs.keep(attempt, 0, data)
    await logs.settle(attempt)
    assert await logs.read(attempt, 0, 1000) == data


@pytest.mark.parametrize("wrong", ["../../etc/passwd", "a/../b/1", "/a/b/1", "a//1", ""])
async def test_an_id_never_leads_out_of_the_directory(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match="not an attempt's id"):
        await FileLogs(tmp_path).keep(AttemptId(wrong), 0, b"x")
    assert _files_in(tmp_path) == []


async def test_files_are_for_the_daemon_alone(tmp_path: Path) -> None:
    await FileLogs(tmp_path).keep(ATTEMPT, 0, b"x")
    (file,) = _files_in(tmp_path)
    assert file.stat().st_mode & 0o077 == 0


def _files_in(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def test_a_disk_that_gives_nothing_is_temporary(tmp_path: Path) -> None:
    (tmp_path / "full").touch()
    logs = FileLogs(tmp_path / "full")
    for call in (
        logs.read(ATTEMPT, 0, 1),
        logs.tail(ATTEMPT, 1),
        logs.size(ATTEMPT),
    ):
        with pytest.raises(TemporaryError):
            await call


async def test_output_is_removed_by_its_reset_and_that_of_others_stays(logs: Logs) -> None:
    reset, other = ResetId(ATTEMPT.partition("/")[0]), ResetId("019ab4e0-0000-7000-8000-000000000001")
    second, others = AttemptId(f"{reset}/verify/1"), AttemptId(f"{other}/verify/1")
    for attempt in (ATTEMPT, second, others):
        await logs.keep(attempt, 0, b"output")
    await logs.forget(reset)
    await logs.forget(reset)
    assert [await logs.size(attempt) for attempt in (ATTEMPT, second, others)] == [0, 0, 6]


async def test_it_is_known_whose_output_is_old(logs: Logs) -> None:
    now = datetime.now(UTC)
    assert list(await logs.untouched_since(now)) == []
    await logs.keep(ATTEMPT, 0, b"output")
    reset = ATTEMPT.partition("/")[0]
    assert list(await logs.untouched_since(now + timedelta(seconds=10))) == [reset]
    assert list(await logs.untouched_since(now - timedelta(seconds=10))) == []
