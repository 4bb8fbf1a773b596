"""Old rows can go: what was refused leaves a row for each name, and what a row refers to is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_seen_events_reset_id", "seen_events", ["reset_id"]),
    ("ix_seen_events_seen_at", "seen_events", ["seen_at"]),
    ("ix_idempotency_keys_reset_id", "idempotency_keys", ["reset_id"]),
    ("ix_outbox_reset_id", "outbox", ["reset_id"]),
    ("ix_pending_acts_at", "pending_acts", ["at"]),
)
_ANSWERED = "state IN ('rejected', 'planned')"


def upgrade() -> None:
    op.create_table(
        "refusals",
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("event_source", sa.String(), nullable=True),
        sa.Column("event_id", sa.String(), nullable=True),
        sa.Column("unknown_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("channel IN ('kafka', 'http', 'provisioning')", name=op.f("ck_refusals_channel")),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_refusals")),
    )
    op.create_index("ix_refusals_last_at", "refusals", ["last_at"])
    # The audit of a reset outlives it.
    with op.batch_alter_table("audit") as audit:
        audit.drop_constraint("fk_audit_reset_id", type_="foreignkey")
    # Nobody knows when acts came that wait already; they count from now on.
    op.add_column("pending_acts", sa.Column("at", sa.DateTime(timezone=True), nullable=True))
    op.execute(sa.update(sa.table("pending_acts", sa.column("at"))).values(at=sa.text("CURRENT_TIMESTAMP")))
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)
    op.create_index(
        "ix_resets_answered",
        "resets",
        ["id"],
        sqlite_where=sa.text(_ANSWERED),
        postgresql_where=sa.text(_ANSWERED),
    )


def downgrade() -> None:
    op.drop_index("ix_resets_answered", "resets")
    for name, table, _ in reversed(_INDEXES):
        op.drop_index(name, table)
    op.drop_column("pending_acts", "at")
    # Lines of resets that are gone have nothing to refer to.
    with op.batch_alter_table("audit") as audit:
        audit.create_foreign_key(
            "fk_audit_reset_id", "resets", ["reset_id"], ["id"], postgresql_not_valid=True
        )
    op.drop_index("ix_refusals_last_at", "refusals")
    op.drop_table("refusals")
