"""What survives the end of what, how, and the tests: `docs/continuity.md`.

`sources/continuity.yaml` says it. A row without a test, or with one that is not in the tree, is an error.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from docs.generate.incomplete import Incomplete
from docs.generate.tested import ROOT, shown, table, wanting
from schemas.wire import Wire

PATH = "docs/continuity.md"
SOURCE = "docs/generate/sources/continuity.yaml"
_HEADING = """\
# Continuity: what survives the end of what

Generated from `continuity.yaml` by `make docs`; every row names the tests that show it. What each cause of a stopped
reset asks of you is in [failures.md](failures.md).
"""


class Row(Wire):
    """One thing that may end."""

    ends: str
    survives: str
    how: str
    tests: tuple[str, ...] = ()


def documents() -> dict[str, str]:
    """Path in the repository -> text.

    Raises:
        Incomplete: a row has no test that exists.
    """
    rows, missing = read(ROOT, (ROOT / SOURCE).read_text(encoding="utf-8"))
    if missing:
        raise Incomplete(PATH, missing)
    lines = [(row.ends, row.survives, row.how, shown(row.tests)) for row in rows]
    return {PATH: _HEADING + table(("what ends", "what survives", "how", "tests"), lines)}


def read(root: Path, source: str) -> tuple[list[Row], list[str]]:
    """The rows, and what is missing of them."""
    rows = [Row.model_validate(row) for row in yaml.safe_load(source)]
    return rows, [f"{row.ends}: {flaw}" for row in rows for flaw in wanting(root, row.tests)]
