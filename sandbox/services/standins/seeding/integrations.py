"""los-integrations' seeder: it finds seeders beside the script, orders them by dependency, and runs all or one.

`--sync` updates the system's rows and keeps users' mappings and credentials; `--reset` truncates every table first.
"""

from __future__ import annotations

import json
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from sandbox.services.standins import controls, node
from sandbox.services.standins.database import Session, refusal
from sandbox.services.standins.seeding import rows


def seed(script: Path, arguments: list[str]) -> None:
    """Do what the arguments ask for; `--list` and `--dry-run` change nothing.

    Raises:
        rows.SeedError: an unknown integration or argument, or the database's refusal.
    """
    if node.missing_client(Path.cwd()):
        raise rows.SeedError(node.NOT_GENERATED)
    names = _asked(arguments)
    seeders = _discovered(script.parent)
    for name in names:
        if name not in seeders:
            raise rows.SeedError(f"Error: Seeder not found: {name}. Available seeders: {', '.join(seeders)}")
    if "--list" in arguments:
        sys.stdout.write("Available seeders:\n")
        for name, seeder in seeders.items():
            needs = ", ".join(seeder["dependencies"]) or "none"
            sys.stdout.write(f"  - {name} (depends on: {needs})\n")
        return
    chosen = [seeder for name, seeder in seeders.items() if not names or name in names]
    dry = "--dry-run" in arguments
    reset = "--reset" in arguments
    control = controls.begin("seed:dry" if dry else "seed:reset" if reset else "seed:sync")
    with rows.connect() as session:
        if dry:
            _preview(session, chosen)
            return
        if reset:
            _truncate(session)
        tables = [table for seeder in chosen for table in seeder["tables"]]
        sys.stdout.write(f"Running {len(chosen)} seeders ({'reset' if reset else 'sync'})\n")
        rows.write(session, list(rows.rows_of(tables)), control)
    sys.stdout.write("All seeders finished\n")


def _asked(arguments: list[str]) -> list[str]:
    names = []
    rest = iter(arguments)
    for argument in rest:
        flag, joined, value = argument.partition("=")
        if flag == "--integration":
            name = value if joined else next(rest, None)
            if not name:
                raise rows.SeedError("error: option '--integration <name>' argument missing")
            names.append(name)
        elif argument not in ("--sync", "--reset", "--list", "--dry-run"):
            raise rows.SeedError(f"error: unknown option '{argument}'")
    return names


def _discovered(folder: Path) -> dict[str, dict[str, Any]]:
    files = sorted(folder.glob("*/seeder.json"))
    found = {file.parent.name: json.loads(file.read_text()) for file in files}
    order = TopologicalSorter({name: seeder["dependencies"] for name, seeder in found.items()})
    return {name: found[name] for name in order.static_order()}


def _preview(session: Session, seeders: list[dict[str, Any]]) -> None:
    sys.stdout.write("DRY RUN - no changes will be applied\n")
    for seeder in seeders:
        for table in seeder["tables"]:
            rows.check_readable(session, table["table"], table["key"][0])
            count = len(table["rows"])
            sys.stdout.write(f"  {seeder['name']}: would upsert {count} rows in {table['table']}\n")


def _truncate(session: Session) -> None:
    names = [
        sql.Identifier(row[0])
        for row in session.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> '_prisma_migrations' ORDER BY tablename"
        )
    ]
    if not names:
        return
    sys.stdout.write(f"Truncating {len(names)} tables\n")
    try:
        session.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))
    except psycopg2.Error as error:
        said = refusal(error)
        message = said.message if said else "Server has closed the connection."
        raise rows.SeedError(f"PrismaClientUnknownRequestError: \n{message}") from error
