"""What every keeper of output promises, in files and in memory."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.adapters.files.logs import FileLogs
from daemon.ports.errors import TemporaryError
from daemon.ports.logs import Logs
from daemon.redaction.known_values import BEGINS_WITH, KNOWN, SHORTEST
from schemas.wire import AttemptId, ResetId
from tests.memory.logs import MemoryLogs

ATTEMPT = AttemptId("019ab4e0-0000-7000-8000-000000000000/seed.los-core-api.system/1")
LIMIT = 4096
_NUMBERS = count(1)


class Stand(Protocol):
    """A keeper, and the disk under it."""

    @property
    def logs(self) -> Logs: ...

    def fill(self) -> None: ...

    def make_room(self) -> None: ...


class FileStand:
    def __init__(self, directory: Path) -> None:
        self.logs = FileLogs(directory, limit=LIMIT)
        self._file = directory / f"{ATTEMPT}.log"

    def fill(self) -> None:
        self._file.parent.mkdir(parents=True)
        self._file.symlink_to("/dev/full")

    def make_room(self) -> None:
        self._file.unlink()


class MemoryStand:
    def __init__(self) -> None:
        self.logs = MemoryLogs(limit=LIMIT)

    def fill(self) -> None:
        self.logs.full = True

    def make_room(self) -> None:
        self.logs.full = False


@pytest.fixture(params=["files", "memory"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    return FileStand(tmp_path) if request.param == "files" else MemoryStand()


@pytest.fixture
def logs(stand: Stand) -> Logs:
    return stand.logs


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


async def test_a_secret_that_came_in_two_pieces_is_not_kept(logs: Logs) -> None:
    await logs.keep(ATTEMPT, 0, b"at postgresql://app:hunt")
    await logs.keep(ATTEMPT, 24, b"er22@db/los failed\n")
    kept = await logs.read(ATTEMPT, 0, 100)
    assert kept == b"at postgresql://app:********@db/los failed\n"
    assert len(kept) == 43


SECRET = "tr0ub4dor-and-3"
KEY = "-----BEGIN X-----\nQmVnaW5uaW5n\nRW5kaW5nLg==\n-----END X-----\n"
FORMS = {
    "alone": SECRET,
    "in hexadecimal": SECRET.encode().hex(),
    "in base64 over lines": "\n".join(textwrap.wrap(base64.b64encode(SECRET.encode()).decode(), 8)),
    "over several lines": KEY,
}


@pytest.fixture
def known() -> Iterator[None]:
    KNOWN.learn([SECRET, KEY])
    yield
    KNOWN.forget([SECRET, KEY])


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("form", FORMS)
async def test_h1_whoever_reads_meanwhile_sees_no_first_part_of_a_secret_wherever_it_is_cut(
    logs: Logs, form: str
) -> None:
    said = f"it is {FORMS[form]} indeed\n".encode()
    begins, ends = said.index(FORMS[form].encode()), len(said) - len(b" indeed\n")
    for cut in range(begins, ends + 1):
        attempt = AttemptId(f"reset/step/{next(_NUMBERS)}")
        await logs.keep(attempt, 0, said[:cut])
        seen = await logs.read(attempt, 0, 1000)
        shown = seen[begins:].replace(b"*", b"").replace(b"\n", b"")
        # A complete value that is the end of nothing longer may stand there, masked.
        assert len(shown) < BEGINS_WITH or said[begins:cut].endswith(b"\n"), (cut, seen)
        assert len(shown) < SHORTEST, (cut, seen)
        await logs.keep(attempt, cut, said[cut:])
        kept = await logs.read(attempt, 0, 1000)
        assert len(kept) == len(said)
        assert kept.startswith(b"it is ")
        assert kept.endswith(b" indeed\n")
        assert not set(kept[begins:ends]) - set(b"*\n")


@pytest.mark.usefixtures("known")
async def test_h1_what_is_held_back_is_kept_at_the_end_but_for_most_of_a_secret(logs: Logs) -> None:
    for number, (said, kept) in enumerate(
        {
            b"left: tr0": b"left: tr0",
            b"left: tr0ub": b"left: tr0ub",
            b"left: tr0ub4dor": b"left: *********",
            b"see http://localhost:3000/x": b"see http://localhost:3000/x",
            b"at postgresql://app:hunt": b"at postgresql://app:****",
            b'{"password": "a b c': b'{"password": "*****',
        }.items()
    ):
        attempt = AttemptId(f"reset/other/{number + 1}")
        await logs.keep(attempt, 0, said)
        assert len(await logs.read(attempt, 0, 100)) < len(said)
        assert await logs.size(attempt) < len(said)
        await logs.settle(attempt)
        await logs.settle(attempt)
        assert await logs.read(attempt, 0, 100) == kept
        assert await logs.whole(attempt) == (kept.decode(), True)


@pytest.mark.usefixtures("known")
async def test_h1_output_that_comes_again_from_where_it_is_kept_is_masked_too(tmp_path: Path) -> None:
    said = f"it is {SECRET} indeed\n".encode()
    await FileLogs(tmp_path).keep(ATTEMPT, 0, said[:14])
    after = FileLogs(tmp_path)
    size = await after.size(ATTEMPT)
    assert size <= 6 + BEGINS_WITH
    await after.keep(ATTEMPT, size, said[size:])
    assert await after.read(ATTEMPT, 0, 100) == b"it is *************** indeed\n"


@pytest.mark.usefixtures("known")
async def test_h1_the_limit_cuts_no_secret_in_two(logs: Logs) -> None:
    for number, at in enumerate(range(LIMIT - len(SECRET), LIMIT)):
        attempt = AttemptId(f"reset/limit/{number + 1}")
        await logs.keep(attempt, 0, b"x" * at + SECRET.encode() + b"\n" + b"y" * 100)
        kept = await logs.read(attempt, 0, 2 * LIMIT)
        assert kept[at:LIMIT] == b"*" * (LIMIT - at)


async def test_h1_lines_and_words_that_begin_no_secret_are_read_at_once(logs: Logs) -> None:
    for number, said in enumerate((b"Seeding... ", b"Done\n", b"....", b"http://localhost:3000/ is up\n")):
        attempt = AttemptId(f"reset/words/{number + 1}")
        await logs.keep(attempt, 0, said)
        assert await logs.read(attempt, 0, 100) == said


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
