"""Prints answers: as tables on a terminal, as plain columns when piped, as JSON, YAML or names for machines."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.cli.client import Json


class Format(StrEnum):
    """Values of `-o`."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


Output = Annotated[Format, typer.Option("--output", "-o", help="table, wide, json, yaml or name")]
Column = tuple[str, Callable[[Json], object]]

_TOO_LONG = re.compile(r"(\S{20})\S{70,}(\S{11})")
"""A word of more than 100 letters. Names that can be an environment's, hashes and keys of databases are shorter."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_COLOURS = {
    "done": "green", "planned": "green", "succeeded": "green", "ok": "green",
    "failed": "red", "rejected": "red", "denied": "red", "unknown": "red", "needs-operator": "red",
    "awaiting-approval": "yellow", "warning": "yellow", "cancelled": "yellow", "cancelling": "yellow",
    "running": "cyan",
}  # fmt: skip


def styled(value: object) -> Text:
    """Make text for the terminal, without markup or control characters. The names of states have colours."""
    text = clean("" if value is None else str(value))
    return Text(text, style=_COLOURS.get(text, ""))


def clean(text: str) -> str:
    """Replace control characters, so that text which others wrote can't steer the terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def _cell(value: object) -> str:
    """Make the text of a cell. A word that others wrote is cut where it would make the table unreadable."""
    return _TOO_LONG.sub("\\1\N{HORIZONTAL ELLIPSIS}\\2", clean("" if value is None else str(value)))


def say(text: str) -> None:
    """Print a line on stdout."""
    out.print(Text(clean(text)))


def note(text: str) -> None:
    """Print a line for people on stderr, beside the answer."""
    err.print(Text(clean(text)))


def answer(value: object, chosen: Format, *, names: Iterable[object], text: Callable[[], None]) -> None:
    """Print an answer in the chosen form. `names` are what `-o name` prints; `text` prints the answer for people."""
    match chosen:
        case Format.JSON:
            sys.stdout.write(f"{json.dumps(value, indent=2, ensure_ascii=False)}\n")
        case Format.YAML:
            yaml.safe_dump(value, sys.stdout, sort_keys=False, allow_unicode=True)
        case Format.NAME:
            for name in names:
                say(str(name))
        case _:
            text()


def listed(
    rows: Sequence[Json],
    chosen: Format,
    *,
    name: Callable[[Json], object],
    columns: Sequence[Column],
    wide: Sequence[Column] = (),
    empty: str,
) -> None:
    """Print a list, or `empty` where it has no rows. The columns `wide` are shown with `-o wide` only."""

    def text() -> None:
        if not rows:
            note(empty)
            return
        shown = [*columns, *(wide if chosen is Format.WIDE else ())]
        table([title for title, _ in shown], [[value(row) for _, value in shown] for row in rows])

    answer(list(rows), chosen, names=(name(row) for row in rows), text=text)


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on a terminal. When piped, print columns in plain lines as wide as they are.

    A word of more than 100 letters is shown by its beginning and its end; `-o json` has it whole.
    """
    if out.is_terminal:
        built = Table(box=None, pad_edge=False, header_style="bold")
        for title in titles:
            built.add_column(title)
        for row in rows:
            built.add_row(*(styled(_cell(value)) for value in row))
        out.print(built, soft_wrap=False)
        return
    texts = [[_cell(value).replace("\n", " ") for value in row] for row in rows]
    widths = [max(len(line[at]) for line in [list(titles), *texts]) for at in range(len(titles))]
    for line in [list(titles), *texts]:
        padded = "  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True))
        sys.stdout.write(f"{padded.rstrip()}\n")
