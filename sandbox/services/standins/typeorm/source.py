"""A data source file and the migrations that it names, read from the JavaScript that the real CLI runs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_QUERY = re.compile(r"queryRunner\.query\(`([^`]*)`\)")


class Migration(NamedTuple):
    """One class: the statements of `up` and `down`, and the time that its name ends with."""

    name: str
    up: tuple[str, ...]
    down: tuple[str, ...]

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970: the last 13 digits of the name."""
        return int(self.name[-13:])


class DataSource(NamedTuple):
    """The database (`dsn` without Prisma's query) and its migrations, in the order of their times."""

    dsn: str
    migrations: tuple[Migration, ...]
    log: Path | None = None
    """The file that the logger writes to; None: standard output."""


class SourceError(Exception):
    """The file can't be opened; the text is TypeORM's."""


def load(named: str) -> DataSource:
    """Read a data source file.

    Raises:
        SourceError: there is no such file, or its connection string is not set.
    """
    path = Path.cwd() / named
    if not path.is_file():
        raise SourceError(f"Unable to open file: \"{path}\". Cannot find module '{path}'")
    if "DATABASE_URL" not in os.environ:
        raise SourceError(
            f"Unable to open file: \"{path}\". Cannot read properties of undefined (reading 'split')"
        )
    text = path.read_text()
    patterns = re.findall(r'"([^"]+\*\.js)"', text)
    files = sorted(file for pattern in patterns for file in path.parent.glob(pattern))
    migrations = sorted((_migration(file.read_text()) for file in files), key=lambda m: m.timestamp)
    log = Path.cwd() / "ormlogs.log" if re.search(r"""\blogger:\s*["']file["']""", text) else None
    return DataSource(os.environ["DATABASE_URL"].partition("?")[0], tuple(migrations), log)


def _migration(text: str) -> Migration:
    name = re.search(r'name = "(\w+)"', text)
    if name is None:
        raise SourceError("a migration without a name")
    up, _, down = text.partition("async down(")
    return Migration(name[1], tuple(_QUERY.findall(up)), tuple(_QUERY.findall(down)))
