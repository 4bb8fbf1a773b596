"""The adapter in docs/extending.md, under the contract of its port."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import pytest

from daemon.ports.errors import TemporaryError
from daemon.ports.marks import Marks
from tests.contract.marks import test_marks as contract
from tests.unit.docs.extending.page import module

SQLITE = module("sqlite-marks")
CHECKS = {
    name: check
    for name, check in vars(contract).items()
    if name.startswith("test_") and "marks" in signature(check).parameters
}
globals().update(CHECKS)  # pytest finds each check of the contract here, with the fixture of this module


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    made: Marks = SQLITE.SqliteMarks(tmp_path / "marks.db")
    return made


def test_every_check_of_the_contract_runs_here() -> None:
    assert len(CHECKS) >= 6
    assert CHECKS.items() <= globals().items()


async def test_marks_outlive_the_process_that_put_them(marks: Marks, tmp_path: Path) -> None:
    await marks.put(contract.STATE, contract.mark(5))
    again: Marks = SQLITE.SqliteMarks(tmp_path / "marks.db")
    assert [one.mark for one in await contract.kept(again)] == [contract.mark(5)]


@pytest.mark.parametrize("damage", [b"\x00" * 8192, b"no database"])
async def test_a_file_that_is_damaged_stops_everything(marks: Marks, tmp_path: Path, damage: bytes) -> None:
    await marks.put(contract.STATE, contract.mark(5))
    (tmp_path / "marks.db").write_bytes(damage)
    with pytest.raises(TemporaryError):
        await contract.kept(marks)


async def test_a_place_that_is_away_is_a_temporary_error(tmp_path: Path) -> None:
    away: Marks = SQLITE.SqliteMarks(tmp_path / "not-mounted" / "marks.db")
    with pytest.raises(TemporaryError):
        await away.put(contract.STATE, contract.mark(5))
