"""Each reason, what the daemon does, what the operator does, and the tests: `docs/failures.md`.

`sources/failures.yaml` says it, by groups of causes. A reason in no entry, a reason in two, and a test that is not in
the tree are errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import yaml

from docs.generate.incomplete import Incomplete
from docs.generate.tested import ROOT, paragraph, said, shown, wanting
from schemas.reasons import TEXTS, Reason
from schemas.wire import Wire

PATH = "docs/failures.md"
SOURCE = "docs/generate/sources/failures.yaml"
_HEADING = """\
# Failures: what the daemon does, and what you do

Generated from `generate/sources/failures.yaml` by `make docs`. Every reason of the closed list (`schemas/reasons.py`,
`/problems/CODE`) is here, with the tests that show what is said of it. `ID` is a reset (`qa-sandbox/12`), `ENV` an
environment.

To resume is `resetd resume ID`: the reset goes on at the step that stopped it.
"""


class Cause(Wire):
    """What is said of some reasons: one thought in each sentence."""

    reasons: tuple[Reason, ...]
    daemon: tuple[str, ...]
    operator: tuple[str, ...]
    tests: tuple[str, ...] = ()
    reserved: bool = False
    """Nothing gives these reasons yet."""


class Group(Wire):
    """Causes that lie in the same part of the world."""

    group: str
    causes: tuple[Cause, ...]


def documents() -> dict[str, str]:
    """Path in the repository -> text.

    Raises:
        Incomplete: a reason has no entry, or an entry no test that exists.
    """
    groups, missing = read(ROOT, (ROOT / SOURCE).read_text(encoding="utf-8"))
    if missing:
        raise Incomplete(PATH, missing)
    index = "\n" + "".join(f"- {_link(group)}\n" for group in groups)
    return {PATH: _HEADING + index + "".join(_group(group) for group in groups)}


def read(root: Path, source: str) -> tuple[list[Group], list[str]]:
    """The groups, and what is missing of them."""
    groups = [Group.model_validate(group) for group in yaml.safe_load(source)]
    causes = [cause for group in groups for cause in group.causes]
    given = Counter(reason for cause in causes for reason in cause.reasons)
    missing = [f"{reason.value} has no entry" for reason in Reason if not given[reason]]
    missing += [f"{reason.value} has {count} entries" for reason, count in given.items() if count > 1]
    for cause in causes:
        name = ", ".join(reason.value for reason in cause.reasons)
        if not cause.reserved:
            missing += [f"{name}: {flaw}" for flaw in wanting(root, cause.tests)]
    return groups, missing


def _link(group: Group) -> str:
    """The group's line in the list at the top of the page."""
    anchor = group.group.lower().replace(" ", "-")
    return (
        f"[{group.group}](#{anchor}): {_codes(reason for cause in group.causes for reason in cause.reasons)}"
    )


def _codes(reasons: Iterable[Reason]) -> str:
    return ", ".join(f"`{reason.value}`" for reason in reasons)


def _group(group: Group) -> str:
    return f"\n## {group.group}\n" + "".join(_cause(cause) for cause in group.causes)


def _cause(cause: Cause) -> str:
    """The codes and their texts, and what follows from them."""
    texts = [TEXTS[reason] for reason in cause.reasons]
    if len(texts) > 1:
        texts = [f"- `{reason.value}`: {text}" for reason, text in zip(cause.reasons, texts, strict=True)]
    return (
        f"\n### {_codes(cause.reasons)}\n"
        + (paragraph(texts[0]) if len(texts) == 1 else "\n" + "".join(f"{text}\n" for text in texts))
        + said("What the daemon does", cause.daemon)
        + said("What you do", cause.operator)
        + shown(cause.tests)
    )
