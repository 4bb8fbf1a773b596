"""What real tools, clusters and people did that the product did not expect, with the tests: `docs/field.md`.

`sources/field/*.yaml` says it, one file for each kind of fault. A test that is not in the tree is an error, and so is a
row whose tests are named but whose second input is not.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import TypeAdapter

from docs.generate.incomplete import Incomplete
from docs.generate.tested import ROOT, table, wanting
from schemas.wire import Wire

PATH = "docs/field.md"
SOURCES = "docs/generate/sources/field"
_HEADING = """\
# From the field: what was believed too easily

Generated from `generate/sources/field/` by `make docs`. Each row is one example of a kind of fault that was seen on
real tools, clusters and people. Its tests show the right behaviour, for the row's input and for another input of the
same kind. What each reason asks of you is in [failures.md](failures.md).
"""
_OPEN = "not shown yet"


class Row(Wire):
    """One input that went wrong once."""

    row: str
    input: str
    happened: str
    """What the product did with it once."""
    right: str
    tests: tuple[str, ...] = ()
    another: str = ""
    """Another input of the same kind."""
    another_tests: tuple[str, ...] = ()


class Kind(Wire):
    """A kind of fault."""

    kind: str
    title: str
    rows: tuple[Row, ...]


_kind = TypeAdapter(Kind)


def documents() -> dict[str, str]:
    """Path in the repository -> text.

    Raises:
        Incomplete: a test that a row names does not exist, or a row has tests and no second input.
    """
    kinds = read(ROOT)
    missing = [f"{row.row}: {flaw}" for kind in kinds for row in kind.rows for flaw in _wanting(row)]
    if missing:
        raise Incomplete(PATH, missing)
    return {PATH: _HEADING + "".join(_section(kind) for kind in kinds)}


def read(root: Path) -> list[Kind]:
    """All kinds, in the order of their letters."""
    files = sorted((root / SOURCES).glob("*.yaml"))
    return [_kind.validate_python(yaml.safe_load(file.read_text(encoding="utf-8"))) for file in files]


def _wanting(row: Row) -> list[str]:
    if not row.tests:
        return []
    flaws = wanting(ROOT, (*row.tests, *row.another_tests))
    return flaws if row.another and row.another_tests else [*flaws, "another input of its kind is wanting"]


def _section(kind: Kind) -> str:
    rows = (
        (
            row.row,
            row.input,
            row.happened,
            row.right,
            _tests(row.tests),
            row.another,
            _tests(row.another_tests),
        )
        for row in kind.rows
    )
    titles = ("row", "input", "what happened once", "right", "tests", "another input", "its tests")
    return f"\n## {kind.kind}. {kind.title}\n" + table(titles, rows)


def _tests(tests: tuple[str, ...]) -> str:
    return "<br>".join(f"`{test}`" for test in tests) or _OPEN
