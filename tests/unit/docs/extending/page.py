"""The examples of docs/extending.md. Each block of code has a name behind its language; tests take it by that name."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from docs.generate.tested import ROOT

PAGE = ROOT / "docs" / "extending.md"
_FENCED = re.compile(r"^```(?P<language>\w*) ?(?P<name>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code, as the page has it."""

    language: str
    name: str
    text: str
    line: int
    """Of the page, on which the text begins; counts from 1."""


@cache
def blocks() -> tuple[Block, ...]:
    """All blocks of the page, in order."""
    page = PAGE.read_text(encoding="utf-8")
    return tuple(
        Block(found["language"], found["name"], found["text"], page.count("\n", 0, found.start("text")) + 1)
        for found in _FENCED.finditer(page)
    )


def block(name: str) -> str:
    """The text of the block of that name."""
    return _named(name).text


def module(name: str) -> ModuleType:
    """The block of that name as a module. Errors and tracebacks name the page's own lines."""
    found = _named(name)
    made = ModuleType(f"extending_{name.replace('-', '_')}")
    sys.modules[made.__name__] = made  # dataclasses look their module up by its name
    padding = "\n" * (found.line - 1)
    exec(compile(padding + found.text, str(PAGE), "exec"), vars(made))  # noqa: S102 - the page's own code is what is tested
    return made


def _named(name: str) -> Block:
    (found,) = (one for one in blocks() if one.name == name)
    return found
