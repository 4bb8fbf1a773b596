"""Writes all generated documents: `python -m docs.generate`; with `--check` says what is out of date and exits 1.

A generator is a module of this package with a function `documents() -> dict[str, str]` (path in the repository ->
text). One that finds its sources wanting raises `Incomplete`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from docs import generate
from docs.generate.incomplete import Incomplete

ROOT = Path(__file__).resolve().parents[2]


def documents() -> Iterator[tuple[str, str]]:
    """Every generated document: path in the repository and text."""
    for module in iter_modules(generate.__path__):
        if module.name != "__main__":
            make = getattr(import_module(f"{generate.__name__}.{module.name}"), "documents", None)
            if make is not None:
                yield from make().items()


def main(arguments: list[str]) -> int:
    """Write, or check; answers the exit code."""
    check = "--check" in arguments
    stale = 0
    try:
        for path, text in documents():
            file = ROOT / path
            if file.is_file() and file.read_text(encoding="utf-8") == text:
                continue
            stale += 1
            sys.stdout.write(f"{path} {'is out of date: run `make docs`' if check else 'written'}\n")
            if not check:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
    except Incomplete as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
