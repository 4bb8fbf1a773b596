"""The statements of a lease holder's commit: each takes the rows of all resets that share it."""

from __future__ import annotations

from sqlalchemy import ClauseElement, FromClause, case, select, update

from daemon.adapters.store.bulk_statements import BIGINT, BOOLEAN, TEXT, bulk_statement, bulk_upsert
from daemon.adapters.store.tables import ACTS, ATTEMPTS, BACKUPS, PLANS, RESETS, STEPS
from statemachines.commits import LEASE_HOLDER_FIELDS

_LOCKED = ("id", "environment", "version", "fence", "lease_owner", "sequence", "ticket", "acts_seen")
"""Columns that are read of a locked row: what a refusal names, and what a holder's change leaves as it is."""


@bulk_statement(RESETS, ["id"])
def lock_resets(given: FromClause) -> ClauseElement:
    """Lock the rows of resets and read them, in the order of ids, as all do that lock several: so none deadlocks."""
    return (
        select(*(RESETS.c[name] for name in _LOCKED))
        .where(RESETS.c.id.in_(select(given.c.id)))
        .order_by(RESETS.c.id)
        .with_for_update(key_share=True)
    )


@bulk_statement(
    RESETS,
    ["id", "environment", "version", "fence", "live", *LEASE_HOLDER_FIELDS],
    leased=TEXT,
    owner=TEXT,
    sequence_before=BIGINT,
    lease_goes=BOOLEAN,
    ticket_goes=BOOLEAN,
)
def compare_and_set_resets(given: FromClause) -> ClauseElement:
    """Set the rows that are as their lease holders read them, with the next version, and answer the ids of those."""
    return (
        update(RESETS)
        .where(
            RESETS.c.id == given.c.id,
            RESETS.c.id == given.c.leased,
            RESETS.c.environment == given.c.environment,
            RESETS.c.version == given.c.version,
            RESETS.c.fence == given.c.fence,
            RESETS.c.lease_owner == given.c.owner,
            RESETS.c.sequence == given.c.sequence_before,
        )
        .values(
            {name: given.c[name] for name in ("live", *LEASE_HOLDER_FIELDS)}
            | {
                "version": RESETS.c.version + 1,
                "claims_without_progress": 0,
                "lease_owner": case((given.c.lease_goes, None), else_=RESETS.c.lease_owner),
                "lease_until": case((given.c.lease_goes, None), else_=RESETS.c.lease_until),
                "ticket": case((given.c.ticket_goes, None), else_=RESETS.c.ticket),
            }
        )
        .returning(RESETS.c.id)
    )


@bulk_statement(ACTS, ["reset_id"], up_to=BIGINT)
def mark_acts_read(given: FromClause) -> ClauseElement:
    """Mark the acts of each reset as read, up to an id."""
    return (
        update(ACTS)
        .where(ACTS.c.reset_id == given.c.reset_id, ~ACTS.c.seen, ACTS.c.id <= given.c.up_to)
        .values(seen=True)
    )


upsert_plans = bulk_upsert(PLANS, ["reset_id", "hash", "body"], ["reset_id", "hash"])
upsert_steps = bulk_upsert(STEPS, [column.name for column in STEPS.columns], ["reset_id", "name"])
upsert_attempts = bulk_upsert(ATTEMPTS, [column.name for column in ATTEMPTS.columns], ["id"])
upsert_backups = bulk_upsert(
    BACKUPS, [column.name for column in BACKUPS.columns if column.name != "id"], ["path"]
)
