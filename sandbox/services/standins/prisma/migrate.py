"""`prisma migrate deploy`, `reset` and `status`."""

from __future__ import annotations

import sys

from psycopg2 import sql

from sandbox.services.standins.controls import Control
from sandbox.services.standins.prisma import failures, ledger
from sandbox.services.standins.prisma.datasource import Datasource
from sandbox.services.standins.prisma.schema import Migration, Schema


def deploy(schema: Schema, control: Control) -> int:
    """`migrate deploy`: applies pending migrations under the advisory lock."""
    source = schema.datasource()
    _introduce(schema, source)
    migrations = schema.migrations()
    sys.stdout.write(f"{_found(schema, migrations)}\n\n")
    done = _apply_pending(source, migrations, control)
    if not done:
        sys.stdout.write("\nNo pending migrations to apply.\n")
        return 0
    _list_applied(done)
    sys.stdout.write("      \nAll migrations have been successfully applied.\n")
    return 0


def reset(schema: Schema, control: Control, *, seed: bool, client: bool) -> int:
    """`migrate reset`: drops the schema WITHOUT the lock, as the real one does; then migrates, generates, seeds."""
    source = schema.datasource()
    _introduce(schema, source)
    name = sql.Identifier(source.schema)
    with ledger.connect(source) as session:
        session.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
        session.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    done = _apply_pending(source, schema.migrations(), control)
    sys.stdout.write("\nDatabase reset successful\n\n")
    _list_applied(done)
    if client:
        from sandbox.services.standins.prisma.generate import generate

        sys.stdout.write("\nRunning generate... (Use --skip-generate to skip the generators)\n")
        generate(schema)
    if not seed:
        return 0
    from sandbox.services.standins.prisma.seed import run

    return run()


def status(schema: Schema) -> int:
    """`migrate status`: 0 when all is applied; 1 when a migration is pending, failed, or unknown here."""
    source = schema.datasource()
    _introduce(schema, source)
    migrations = schema.migrations()
    with ledger.connect(source) as session:
        managed = ledger.exists(session)
        rows = ledger.applied(session) if managed else []
        unmanaged = not managed and ledger.other_tables(session, source)
    sys.stdout.write(f"{_found(schema, migrations)}\n")
    failed = [row.name for row in rows if row.failed]
    names = [migration.name for migration in migrations]
    applied = {row.name for row in rows}
    pending = [name for name in names if name not in applied]
    unknown = [row.name for row in rows if row.name not in names]
    if failed:
        sys.stderr.write(_failed(failed))
        return 1
    if unmanaged:
        sys.stderr.write(
            "The current database is not managed by Prisma Migrate.\n\n"
            "Read more about how to baseline an existing production database:\n"
            "https://pris.ly/d/migrate-baseline\n"
        )
        return 1
    if unknown:
        sys.stdout.write(_diverged(schema, names, pending, unknown, applied))
        return 1
    if pending:
        sys.stdout.write(
            f"{_following(pending)} have not yet been applied:\n" + "\n".join(pending) + "\n\n"
            "To apply migrations in development run prisma migrate dev.\n"
            "To apply migrations in production run prisma migrate deploy.\n"
        )
        return 1
    sys.stdout.write("\nDatabase schema is up to date!\n")
    return 0


def _introduce(schema: Schema, source: Datasource) -> None:
    sys.stdout.write(
        f"Prisma schema loaded from {schema.path}\n"
        f'Datasource "db": PostgreSQL database "{source.database}", schema "{source.schema}" '
        f'at "{source.address}"\n\n'
    )


def _found(schema: Schema, migrations: list[Migration]) -> str:
    if not migrations:
        return f"No migration found in {schema.folder}"
    noun = "migration" if len(migrations) == 1 else "migrations"
    return f"{len(migrations)} {noun} found in {schema.folder}"


def _apply_pending(source: Datasource, migrations: list[Migration], control: Control) -> list[str]:
    with ledger.connect(source) as session:
        ledger.lock(session, source)
        ledger.initialise(session, source)
        rows = ledger.applied(session)
        failed = [(row.name, row.begun) for row in rows if row.failed]
        if failed:
            raise failures.failed_before(failed)
        known = {row.name for row in rows}
        pending = [migration for migration in migrations if migration.name not in known]
        for migration in pending:
            sys.stdout.write(f"Applying migration `{migration.name}`\n")
            ledger.apply(session, migration, control)
    return [migration.name for migration in pending]


def _list_applied(names: list[str]) -> None:
    sys.stdout.write("\nThe following migration(s) have been applied:\n\nmigrations/\n")
    for name in names:
        sys.stdout.write(f"  └─ {name}/\n    └─ migration.sql\n")


def _following(names: list[str]) -> str:
    return "Following migration" if len(names) == 1 else "Following migrations"


def _failed(names: list[str]) -> str:
    return (
        "Following migration have failed:\n" + "\n".join(names) + "\n\n"
        "During development if the failed migration(s) have not been deployed to a production "
        "database you can then fix the migration(s) and run prisma migrate dev.\n\n"
        "The failed migration(s) can be marked as rolled back or applied:\n      \n"
        "- If you rolled back the migration(s) manually:\n"
        f'prisma migrate resolve --rolled-back "{names[0]}"\n\n'
        "- If you fixed the database manually (hotfix):\n"
        f'prisma migrate resolve --applied "{names[0]}"\n\n'
        "Read more about how to resolve migration issues in a production database:\n"
        "https://pris.ly/d/migrate-resolve\n"
    )


def _diverged(
    schema: Schema, names: list[str], pending: list[str], unknown: list[str], applied: set[str]
) -> str:
    common = [name for name in names if name in applied]
    lines = [
        "Your local migration history and the migrations table from your database are different:",
        "",
        f"The last common migration is: {common[-1] if common else 'null'}",
        "",
    ]
    if pending:
        lines += ["The migration have not yet been applied:", *pending, ""]
    lines += [f"The migrations from the database are not found locally in {schema.folder}:", *unknown]
    return "\n".join(lines) + "\n"
