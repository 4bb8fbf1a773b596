"""Snapshots of an environment's databases, to be put back as often as needed.

They are copies by `CREATE DATABASE ... TEMPLATE`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from sandbox import fleet
from sandbox.platform.platform import Platform
from sandbox.postgres import ROLE

# Undoes the last migration of each service, so that the contents show whether a deployment was run.
_UNDO = {
    "data-builder": """
        DROP TABLE option_sets;
        ALTER TABLE tags DROP COLUMN color;
        DELETE FROM _prisma_migrations WHERE migration_name = '20241016130000_option_sets';
    """,
    "los-sandbox": """
        ALTER TABLE queues DROP COLUMN sla_days;
        ALTER TABLE roles DROP COLUMN description;
        DELETE FROM _prisma_migrations WHERE migration_name = '20250120101500_queue_sla';
    """,
    "integrations": """
        DROP TABLE seeder_versions;
        DELETE FROM _prisma_migrations WHERE migration_name = '20241108160000_seeder_versions';
    """,
    "sequence-builder": """
        ALTER TABLE sequence_steps DROP COLUMN delay_hours;
        DELETE FROM _prisma_migrations WHERE migration_name = '20240822094500_step_delay';
    """,
    "ui-builder": """
        ALTER TABLE components DROP COLUMN definition;
        DELETE FROM _prisma_migrations WHERE migration_name = '20250203144500_component_definition';
    """,
    "workflow-builder": """
        ALTER TABLE workflows DROP COLUMN active;
        DROP TABLE workflow_runs;
        DELETE FROM migrations WHERE name = 'WorkflowRuns1731000000000';
    """,
}
DATABASES = frozenset(_UNDO)


class Snapshots:
    """Two copies of each database of an environment, all on one server.

    One copy is the dirtied database; the other one, `outdated`, lacks its last migration besides.
    """

    def __init__(self, platform: Platform, environment: str) -> None:
        places = sorted(set(fleet.environment(environment).databases.values()))
        (server,) = {place.partition("/")[0] for place in places}
        self._platform = platform
        self._server = platform.databases.servers[server]
        self._names = [place.partition("/")[2] for place in places]

    def take(self) -> None:
        """Copy the databases as they are now."""
        for name in self._names:
            self._copy(name, f"{name} dirtied")
            self._copy(name, f"{name} outdated")
            with psycopg.connect(self._url(f"{name} outdated")) as connection:
                connection.execute(_UNDO[name].encode())

    def put_back(self, outdated: Collection[str] = ()) -> None:
        """Put every database back as it was taken; those in `outdated` without their last migration."""
        for name in self._names:
            self._drop(name)
            self._copy(f"{name} {'outdated' if name in outdated else 'dirtied'}", name)

    def discard(self) -> None:
        """Delete the copies."""
        for name in self._names:
            self._drop(f"{name} dirtied")
            self._drop(f"{name} outdated")

    def _copy(self, source: str, name: str) -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy")
        self._run(statement.format(*map(sql.Identifier, (name, source, ROLE))))

    def _drop(self, name: str) -> None:
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._server.superuser_url, autocommit=True) as connection:
            connection.execute(statement)

    def _url(self, name: str) -> str:
        return self._server.superuser_url.rpartition("/")[0] + "/" + name.replace(" ", "%20")


@contextmanager
def taken(platform: Platform, environment: str) -> Iterator[Snapshots]:
    """Dirty an environment and take its snapshots; at the end it is put back, with its migrations, for others."""
    platform.dirty(environment)
    snapshots = Snapshots(platform, environment)
    try:
        snapshots.take()
        yield snapshots
        snapshots.put_back()
    finally:
        snapshots.discard()
