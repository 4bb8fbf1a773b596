"""Pages name files that are there: each path in backticks, as a whole or from the room that the page speaks of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate.tested import ROOT

PAGES = sorted(
    page.relative_to(ROOT)
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
    if page.name not in {"CHANGELOG.md", "reset-guide.md"}
)
_NAMED = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|sh|yaml|toml)|(?:[\w.-]+/)+)`")
_OF_OTHERS = ("node_modules", "prisma", "dist/")
_MADE_LATER = {"up.sh", "failed/"}
"""A stand's own script, and the folder in which torture keeps evidence."""


def files() -> frozenset[str]:
    """Every path of the repository that counts, as text from its root; folders end with a slash."""
    found = set()
    for top in (
        "daemon",
        "statemachines",
        "schemas",
        "sandbox",
        "tests",
        "benchmarks",
        "docs",
        "deploy",
        ".ci",
    ):
        for path in (ROOT / top).rglob("*"):
            if "__pycache__" not in path.parts:
                found.add(f"{path.relative_to(ROOT)}{'/' if path.is_dir() else ''}")
        found.add(f"{top}/")
    return frozenset(found | {path.name for path in ROOT.iterdir()})


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_each_file_that_a_page_names_is_there(page: Path) -> None:
    known = files()
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {name for name in _NAMED.findall(text) if not any(part in name for part in _OF_OTHERS)}
    missing = {
        name for name in named - _MADE_LATER if not any(f"/{path}".endswith(f"/{name}") for path in known)
    }
    assert missing == set()
