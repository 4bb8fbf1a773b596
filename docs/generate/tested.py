"""Pages whose entries name their tests. An entry without a test, or with one that is not there, is an error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import fill

from docs.generate.carriers import defines

ROOT = Path(__file__).resolve().parents[2]


def wanting(root: Path, tests: Iterable[str]) -> list[str]:
    """What is missing of an entry's tests: `path/to/test_file.py`, with `::name` for one of them."""
    named = list(tests)
    if not named:
        return ["no test shows it"]
    return [f"there is no test {test}" for test in named if not _there(root, test)]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["", f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def paragraph(text: str) -> str:
    """A paragraph in lines of at most 120 characters, with an empty line before it."""
    return f"\n{fill(text, 120, break_long_words=False, break_on_hyphens=False)}\n"


def said(label: str, sentences: Iterable[str]) -> str:
    """A paragraph of sentences behind a label in bold."""
    return paragraph(f"**{label}:** {' '.join(sentences)}")


def shown(tests: Iterable[str]) -> str:
    """The list of an entry's tests; empty where it has none."""
    listed = "".join(f"- `{test}`\n" for test in tests)
    return f"\n**Tests:**\n\n{listed}" if listed else ""


def _there(root: Path, test: str) -> bool:
    return defines(root, test) if "::" in test else (root / test).is_file()
