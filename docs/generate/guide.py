"""The lines of `docs/reset-guide.md` that something has to carry: its commands, warnings and facts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATH = "docs/reset-guide.md"
_LEFT_OUT = ("Overview", "See Also")
"""Sections that say nothing about what to do."""
_STARTS_SERVICE = re.compile(r"^(node|cross-env|npm run build)\b")
"""Parts of start scripts that build or start the service itself."""
_IN_A_POD = re.compile(r'^kubectl exec .* sh -c "(?P<text>.+)"$')


@dataclass(frozen=True)
class Line:
    """One line that has to be carried. `number` counts from 1."""

    number: int
    text: str
    section: str
    command: bool
    required: bool
    """False for the label above a list, which may be carried, too."""

    @property
    def shell_texts(self) -> tuple[str, ...]:
        """The commands that it runs in a service's pod; empty for commands of an operator's own machine."""
        if not self.command:
            return ()
        text = self.text
        if text.startswith('"'):
            text = json.loads(f"{{{text.rstrip(',')}}}").popitem()[1]
        text = text.split("  #", 1)[0].strip()
        inside = _IN_A_POD.match(text)
        if inside:
            text = inside["text"]
        elif text.startswith(("kubectl ", "argocd ")):
            return ()
        return tuple(part for part in text.split(" && ") if not _STARTS_SERVICE.match(part))


def lines(root: Path) -> tuple[Line, ...]:
    """Every line of the guide that is neither empty, heading, fence, comment nor table's head."""
    return tuple(_lines((root / PATH).read_text(encoding="utf-8").splitlines()))


def aliases(of: tuple[Line, ...]) -> dict[str, str]:
    """What the guide says a script stands for -> the script: `npm run seed  # = ts-node ...`."""
    found: dict[str, str] = {}
    for line in of:
        script, equals, meaning = line.text.partition("  # = ")
        if line.command and equals:
            found[meaning.strip()] = script.strip()
    return found


def _lines(raw: list[str]) -> Iterator[Line]:
    fenced = False
    chapter = section = ""
    for number, line in enumerate(raw, start=1):
        text = line.strip()
        if text.startswith("```"):
            fenced = not fenced
        elif fenced:
            if text and not text.startswith("#"):
                yield Line(number, text, section, command=True, required=True)
        elif text.startswith("#"):
            section = text.lstrip("# ")
            chapter = section if text.startswith("## ") else chapter
        elif text and text != "---" and not _is_head(raw, number) and chapter not in _LEFT_OUT:
            yield Line(number, text, section, command=False, required=not text.endswith(":"))


def _is_head(raw: list[str], number: int) -> bool:
    """Whether it is a table's head or the line below it."""
    rule = re.compile(r"^\|[-| ]+\|$")
    return bool(rule.match(raw[number - 1]) or (number < len(raw) and rule.match(raw[number])))
