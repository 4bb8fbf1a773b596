"""No secret is kept, in whatever pieces it comes."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from daemon.adapters.files.logs import FileLogs
from daemon.ports.logs import Logs
from daemon.redaction.known_values import BEGINS_WITH, KNOWN, SHORTEST
from schemas.wire import AttemptId
from tests.contract.logs.conftest import ATTEMPT, LIMIT

_NUMBERS = count(1)


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
