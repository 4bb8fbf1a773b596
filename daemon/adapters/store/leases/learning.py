"""What is learned of steps: stored with the commit that takes it, and read by environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.tables import LEARNED
from daemon.ports.store.leases import Change
from schemas.learned import Learned, LearnedKey
from statemachines.canonical_json import digest


async def keep(tx: Tx, changes: Sequence[Change]) -> None:
    """Store what the changes learned, and remove what they forget. Rows are taken in the order of their keys."""
    rows = {row["key"]: row for change in changes for row in map(_row, change.learned)}
    if rows:
        insert = (postgresql if tx.postgres else sqlite).insert(LEARNED)
        replaced = {name: insert.excluded[name] for name in ("tables", "reset_id", "at")}
        upsert = insert.on_conflict_do_update(index_elements=["key"], set_=replaced)
        await tx.connection.execute(upsert, [rows[key] for key in sorted(rows)])
    forgotten = sorted(_digest(key) for change in changes for key in change.forgotten)
    if forgotten:
        await tx.connection.execute(delete(LEARNED).where(LEARNED.c.key.in_(forgotten)))


async def learned(tx: Tx, environment: str) -> tuple[Learned, ...]:
    """Return what the environment's resets taught, by step, check and time."""
    asked = (
        select(LEARNED)
        .where(LEARNED.c.environment == environment)
        .order_by(LEARNED.c.step, LEARNED.c.check_name, LEARNED.c.at)
    )
    return tuple(_learned(row) for row in (await tx.connection.execute(asked)).mappings())


def _digest(key: LearnedKey) -> str:
    return digest(key.model_dump(mode="json", by_alias=True))


def _row(learned: Learned) -> dict[str, Any]:
    key = learned.key
    return {
        "key": _digest(key),
        "environment": key.environment,
        "step": key.step,
        "check_name": key.check,
        "options": [option.value for option in key.options],
        "integrations": list(key.integrations),
        "image": key.image,
        "tables": list(learned.tables),
        "reset_id": learned.reset_id,
        "at": learned.at,
    }


def _learned(row: RowMapping) -> Learned:
    key = {name: row[name] for name in ("environment", "step", "options", "integrations", "image")}
    return Learned.model_validate(
        {
            "key": {**key, "check": row["check_name"]},
            "tables": row["tables"],
            "reset_id": row["reset_id"],
            "at": row["at"],
        }
    )
