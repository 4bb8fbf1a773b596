"""Tables whose rows name the tests that show them: a row without a test, or with one that is not there, is an error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from docs.generate.carriers import defines

ROOT = Path(__file__).resolve().parents[2]


def wanting(root: Path, tests: Iterable[str]) -> list[str]:
    """What is missing of a row's tests: `path/to/test_file.py`, with `::name` for one of them."""
    named = list(tests)
    if not named:
        return ["no test shows it"]
    return [f"there is no test {test}" for test in named if not _there(root, test)]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["", f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def shown(tests: Iterable[str]) -> str:
    """Names of tests in a cell."""
    return "<br>".join(f"`{test}`" for test in tests)


def _there(root: Path, test: str) -> bool:
    return defines(root, test) if "::" in test else (root / test).is_file()
