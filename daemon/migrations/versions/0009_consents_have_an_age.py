"""Consents and dumps end with a stop; names that a topic claims, and keys, belong to the channel that they came by."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_CHANNELS = "channel IN ('kafka', 'http', 'provisioning')"
_STOPPED = ("failed", "needs-operator", "cancelled")
_WAITING = ("planning", "awaiting-approval", "queued")
_RESETS = sa.table(
    "resets",
    sa.column("id", sa.String()),
    sa.column("state", sa.String()),
    sa.column("destroyed", sa.Boolean()),
    sa.column("approvals", sa.JSON()),
    sa.column("stops", sa.Integer()),
    sa.column("consent_spent", sa.Boolean()),
)


def upgrade() -> None:
    _zero("resets", "stops")
    _false("resets", "consent_spent")
    _zero("backups", "stops")
    _false("backups", "first")
    _false("acts", "as_requester")
    _stop_what_stopped(op.get_bind())
    with op.batch_alter_table("joined_requesters", table_kwargs={"sqlite_autoincrement": True}) as joined:
        joined.add_column(sa.Column("channel", sa.String(), nullable=False, server_default="http"))
        joined.create_check_constraint(op.f("ck_joined_requesters_channel"), _CHANNELS)
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.add_column(sa.Column("channel", sa.String(), nullable=True))
        keys.add_column(sa.Column("environment", sa.String(), nullable=True))
    for column in ("channel", "environment"):
        op.execute(
            f"UPDATE idempotency_keys SET {column} = "  # noqa: S608 - names of columns
            f"(SELECT {column} FROM resets WHERE resets.id = idempotency_keys.reset_id)"
        )
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.alter_column("channel", existing_type=sa.String(), nullable=False)
        keys.alter_column("environment", existing_type=sa.String(), nullable=False)
        keys.drop_constraint(op.f("pk_idempotency_keys"), type_="primary")
        keys.create_primary_key(op.f("pk_idempotency_keys"), ["channel", "environment", "key"])
        keys.create_check_constraint(op.f("ck_idempotency_keys_channel"), _CHANNELS)


def downgrade() -> None:
    op.execute(
        "DELETE FROM idempotency_keys WHERE EXISTS (SELECT 1 FROM idempotency_keys AS older "
        "WHERE older.key = idempotency_keys.key AND older.reset_id < idempotency_keys.reset_id)"
    )
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.drop_constraint(op.f("ck_idempotency_keys_channel"), type_="check")
        keys.drop_constraint(op.f("pk_idempotency_keys"), type_="primary")
        keys.create_primary_key(op.f("pk_idempotency_keys"), ["key"])
        keys.drop_column("environment")
        keys.drop_column("channel")
    with op.batch_alter_table("joined_requesters", table_kwargs={"sqlite_autoincrement": True}) as joined:
        joined.drop_constraint(op.f("ck_joined_requesters_channel"), type_="check")
        joined.drop_column("channel")
    for table, column in (
        ("acts", "as_requester"),
        ("backups", "first"),
        ("backups", "stops"),
        ("resets", "consent_spent"),
        ("resets", "stops"),
    ):
        op.drop_column(table, column)


def _zero(table: str, column: str) -> None:
    op.add_column(table, sa.Column(column, sa.Integer(), nullable=False, server_default=sa.text("0")))


def _false(table: str, column: str) -> None:
    op.add_column(table, sa.Column(column, sa.Boolean(), nullable=False, server_default=sa.false()))


def _stop_what_stopped(connection: sa.Connection) -> None:
    """What has stopped, or waits again after it had destroyed something, needs new dumps and consents to go on."""
    rows = connection.execute(sa.select(_RESETS)).all()
    for row in rows:
        stopped = row.state in _STOPPED or (row.destroyed and row.state in _WAITING)
        if not (stopped or row.destroyed):
            continue
        approvals = row.approvals
        if stopped and row.destroyed:
            approvals = [{**approval, "spent": True} for approval in row.approvals]
        connection.execute(
            sa.update(_RESETS)
            .where(_RESETS.c.id == row.id)
            .values(
                stops=int(stopped), consent_spent=bool(row.destroyed) and not stopped, approvals=approvals
            )
        )
