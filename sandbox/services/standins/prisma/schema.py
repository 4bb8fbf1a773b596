"""A `schema.prisma`: the variable that names its database, and the migrations beside it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from sandbox.services.standins.prisma.datasource import Datasource
from sandbox.services.standins.prisma.failures import PrismaError

_DEFAULTS = ("schema.prisma", "prisma/schema.prisma")


class Migration(NamedTuple):
    """One folder of `migrations/`."""

    name: str
    script: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the script, as in the ledger."""
        import hashlib

        return hashlib.sha256(self.script.encode()).hexdigest()


class Schema(NamedTuple):
    """A schema file; `path` is relative to the working directory where that is possible."""

    path: Path
    text: str

    @property
    def folder(self) -> str:
        """The directory of the migrations as the CLI prints it."""
        return str(self.path.parent / "migrations")

    def migrations(self) -> list[Migration]:
        """The migrations in the order of their names, which is that of their times."""
        files = sorted(Path(self.folder).glob("*/migration.sql"))
        return [Migration(file.parent.name, file.read_text()) for file in files]

    def datasource(self) -> Datasource:
        """The database that the schema names; PrismaError P1012 when its variable is not set."""
        found = re.search(r'^\s*url\s*=\s*env\("(\w+)"\)', self.text, re.MULTILINE)
        variable = found[1] if found else "DATABASE_URL"
        if variable not in os.environ:
            raise PrismaError(
                "Error: Prisma schema validation - (get-config wasm)\nError code: P1012\n"
                f"error: Environment variable not found: {variable}.\n  -->  {self.path}\n\n"
                "Validation Error Count: 1\n[Context: getConfig]\n\nPrisma CLI Version : 6.19.3"
            )
        return Datasource.parse(os.environ[variable])


def load(named: str | None) -> Schema:
    """Load the schema of `--schema`, or else of the default places.

    Raises:
        PrismaError: there is none.
    """
    if named is not None:
        path = Path(os.path.normpath(named))
        if path.is_file():
            return Schema(path, path.read_text())
        raise PrismaError(
            f"Error: Could not load `--schema` from provided path `{os.path.normpath(named)}`: "
            "file or directory not found"
        )
    for default in _DEFAULTS:
        if Path(default).is_file():
            return Schema(Path(default), Path(default).read_text())
    raise PrismaError(
        "Error: Could not find Prisma Schema that is required for this command.\n"
        "You can either provide it with `--schema` argument,\n"
        "set it in your Prisma Config file (e.g., `prisma.config.ts`),\n"
        "set it as `prisma.schema` in your package.json,\n"
        "or put it into the default location (`./prisma/schema.prisma`, or `./schema.prisma`.\n"
        "Checked following paths:\n\n"
        + "".join(f"{default}: file not found\n" for default in _DEFAULTS)
        + "\nSee also https://pris.ly/d/prisma-schema-location"
    )
