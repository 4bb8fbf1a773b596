"""Run by Alembic. `daemon.adapters.store.migrations` gives the connection; the command line takes `-x url=...`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from daemon.adapters.store.connections.addresses import parse, synchronous
from schemas.tables import Row


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    engine = create_engine(synchronous(parse(context.get_x_argument(as_dictionary=True)["url"])))
    with engine.begin() as connection:
        _run(connection)


_main()
