"""Each reason, what the daemon does, what the operator does, and the tests: `docs/failures.md`.

`sources/failures.yaml` says it. A reason without a row, with two, or with a test that is not in the tree is an error.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import yaml

from docs.generate.incomplete import Incomplete
from docs.generate.tested import ROOT, shown, table, wanting
from schemas.reasons import TEXTS, Reason
from schemas.wire import Wire

PATH = "docs/failures.md"
SOURCE = "docs/generate/sources/failures.yaml"
_HEADING = """\
# Failures: what the daemon does, and what you do

Generated from `failures.yaml` by `make docs`. Every reason of the closed list (`schemas/reasons.py`, `/problems/CODE`)
has a row, and every row names the tests that show it. `ID` is a reset (`qa-sandbox/12`), `ENV` an environment.
"""


class Row(Wire):
    """What is said of some reasons."""

    reasons: tuple[Reason, ...]
    daemon: str
    operator: str
    tests: tuple[str, ...] = ()
    reserved: bool = False
    """Nothing gives these reasons yet."""


def documents() -> dict[str, str]:
    """Path in the repository -> text.

    Raises:
        Incomplete: a reason has no row, or a row no test that exists.
    """
    rows, missing = read(ROOT, (ROOT / SOURCE).read_text(encoding="utf-8"))
    if missing:
        raise Incomplete(PATH, missing)
    said = {reason: row for row in rows for reason in row.reasons}
    lines = [
        (
            f"`{reason.value}`",
            TEXTS[reason],
            said[reason].daemon,
            said[reason].operator,
            shown(said[reason].tests),
        )
        for reason in Reason
    ]
    return {PATH: _HEADING + table(("code", "it means", "the daemon", "the operator", "tests"), lines)}


def read(root: Path, source: str) -> tuple[list[Row], list[str]]:
    """The rows, and what is missing of them."""
    rows = [Row.model_validate(row) for row in yaml.safe_load(source)]
    given = Counter(reason for row in rows for reason in row.reasons)
    missing = [f"{reason.value} has no row" for reason in Reason if not given[reason]]
    missing += [f"{reason.value} has {count} rows" for reason, count in given.items() if count > 1]
    for row in rows:
        name = ", ".join(reason.value for reason in row.reasons)
        if not row.reserved:
            missing += [f"{name}: {flaw}" for flaw in wanting(root, row.tests)]
    return rows, missing
