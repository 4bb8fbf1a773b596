"""Pages that list what the code has: nothing is left out, and nothing is there that the code does not have."""

from __future__ import annotations

import re

from docs.generate.tested import ROOT
from sandbox.faults import FaultKind
from tests.torture.judge.finding import RULES


def rows(page: str) -> list[str]:
    """The first cell of each row of its tables."""
    return re.findall(r"^\| (.+?) \|", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)


def test_each_fault_of_the_platform_has_its_row() -> None:
    named = [kind for cell in rows("faults.md") for kind in re.findall(r"`([\w-]+)`", cell)]
    assert sorted(named) == sorted(FaultKind)


def test_each_finding_of_the_judge_has_its_row() -> None:
    cells = rows("torture.md")
    assert cells[cells.index("finding") + 2 :] == [*dict.fromkeys(RULES.values())]
