"""Protected resources: those that a protected environment was ever seen to use. They are remembered for good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.tables import PROTECTED
from schemas.wire import ResourceKey


async def remember(tx: Tx, keys: Mapping[ResourceKey, str], now: datetime) -> None:
    """Remember that a protected environment, the value, was seen to use each resource. The first one seen stays."""
    dialect = postgresql if tx.postgres else sqlite
    rows = [{"key": key, "environment": keys[key], "seen_at": now} for key in sorted(keys)]
    await tx.connection.execute(dialect.insert(PROTECTED).on_conflict_do_nothing(), rows)


async def remembered(tx: Tx) -> Mapping[ResourceKey, str]:
    """Return all protected resources, each with the environment that was seen first."""
    rows = await tx.connection.execute(select(PROTECTED.c.key, PROTECTED.c.environment))
    return {row.key: row.environment for row in rows}
