"""What survives the end of what, how, and the tests: `docs/continuity.md`.

`sources/continuity.yaml` says it, by groups. An entry without a test, or with one that is not in the tree, is an error.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from docs.generate.incomplete import Incomplete
from docs.generate.tested import ROOT, said, shown, wanting
from schemas.wire import Wire

PATH = "docs/continuity.md"
SOURCE = "docs/generate/sources/continuity.yaml"
_HEADING = """\
# Continuity: what survives the end of what

Generated from `generate/sources/continuity.yaml` by `make docs`. A heading says what ends. Every entry names the tests
that show it. What each cause of a stopped reset asks of you is in [failures.md](failures.md).
"""


class Entry(Wire):
    """One thing that may end."""

    ends: str
    survives: tuple[str, ...]
    how: tuple[str, ...]
    tests: tuple[str, ...] = ()


class Group(Wire):
    """Things that end in the same part of the world."""

    group: str
    entries: tuple[Entry, ...]


def documents() -> dict[str, str]:
    """Path in the repository -> text.

    Raises:
        Incomplete: an entry has no test that exists.
    """
    groups, missing = read(ROOT, (ROOT / SOURCE).read_text(encoding="utf-8"))
    if missing:
        raise Incomplete(PATH, missing)
    return {PATH: _HEADING + "".join(_group(group) for group in groups)}


def read(root: Path, source: str) -> tuple[list[Group], list[str]]:
    """The groups, and what is missing of them."""
    groups = [Group.model_validate(group) for group in yaml.safe_load(source)]
    return groups, [
        f"{entry.ends}: {flaw}"
        for group in groups
        for entry in group.entries
        for flaw in wanting(root, entry.tests)
    ]


def _group(group: Group) -> str:
    return f"\n## {group.group}\n" + "".join(_entry(entry) for entry in group.entries)


def _entry(entry: Entry) -> str:
    return (
        f"\n### {entry.ends}\n"
        + said("What survives", entry.survives)
        + said("How", entry.how)
        + shown(entry.tests)
    )
