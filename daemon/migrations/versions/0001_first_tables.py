"""The tables of the first version.

Over 300 lines: written by Alembic, and never changed again.
"""

# ruff: noqa: E501 - written by Alembic, which knows no line length

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "dead_letters",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "environments",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_environments")),
    )
    op.create_table(
        "outbox",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_waiting",
            ["id"],
            unique=False,
            sqlite_where=sa.text("published_at IS NULL AND refused IS NULL"),
            postgresql_where=sa.text("published_at IS NULL AND refused IS NULL"),
        )

    op.create_table(
        "pending_acts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("reset_id", sa.String(), nullable=True),
        sa.Column("event_key", sa.String(), nullable=True),
        sa.Column("event_source", sa.String(), nullable=True),
        sa.Column("event_id", sa.String(), nullable=True),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("act", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_acts")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("pending_acts", schema=None) as batch_op:
        batch_op.create_index("ix_pending_acts_event_key", ["event_key"], unique=False)
        batch_op.create_index("ix_pending_acts_idempotency_key", ["idempotency_key"], unique=False)

    op.create_table(
        "positions",
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("pk_positions")),
    )
    op.create_table(
        "protected_resources",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_protected_resources")),
    )
    op.create_table(
        "resets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("event_source", sa.String(), nullable=True),
        sa.Column("event_id", sa.String(), nullable=True),
        sa.Column("trace_parent", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=True),
        sa.Column("approvals_required", sa.Integer(), nullable=False),
        sa.Column("approvals", sa.JSON(), nullable=False),
        sa.Column("approval_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waiting_for", sa.JSON(), nullable=True),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("hint", sa.String(), nullable=True),
        sa.Column("stopped_in", sa.String(), nullable=True),
        sa.Column("stopped_at", sa.String(), nullable=True),
        sa.Column("destroyed", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("acts_seen", sa.BigInteger(), nullable=False),
        sa.Column("claims_without_progress", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("claimed_version", sa.Integer(), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("channel IN ('kafka', 'http', 'provisioning')", name=op.f("ck_resets_channel")),
        sa.CheckConstraint(
            "state IN ('planning', 'awaiting-approval', 'queued', 'quiescing', 'backing-up', 'migrating-core', 'seeding', 'resetting-git', 'verifying', 'releasing', 'done', 'planned', 'rejected', 'denied', 'failed', 'needs-operator', 'cancelling', 'cancelled', 'rolling-back', 'rolled-back')",
            name=op.f("ck_resets_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resets")),
        sa.UniqueConstraint("environment", "number", name=op.f("uq_resets_environment_number")),
    )
    with op.batch_alter_table("resets", schema=None) as batch_op:
        batch_op.create_index("ix_resets_environment_state", ["environment", "state"], unique=False)
        batch_op.create_index(
            "ix_resets_live",
            ["created_at", "id"],
            unique=False,
            sqlite_where=sa.text("live = 1"),
            postgresql_where=sa.text("live"),
        )

    op.create_table(
        "acts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("plan_hash", sa.String(), nullable=True),
        sa.Column("step", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("replan", sa.Boolean(), nullable=False),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.Boolean(), nullable=False),
        sa.CheckConstraint("channel IN ('kafka', 'http', 'provisioning')", name=op.f("ck_acts_channel")),
        sa.CheckConstraint(
            "kind IN ('approve', 'deny', 'cancel', 'resume', 'skip', 'resolve', 'rollback', 'release')",
            name=op.f("ck_acts_kind"),
        ),
        sa.CheckConstraint(
            "outcome IN ('succeeded', 'failed', 'interrupted', 'unknown')", name=op.f("ck_acts_outcome")
        ),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_acts_reset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acts")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("acts", schema=None) as batch_op:
        batch_op.create_index("ix_acts_reset_id", ["reset_id", "id"], unique=False)
        batch_op.create_index(
            "ix_acts_unseen",
            ["reset_id"],
            unique=False,
            sqlite_where=sa.text("seen = 0"),
            postgresql_where=sa.text("NOT seen"),
        )

    op.create_table(
        "attempts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("control", sa.JSON(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_attempts_reset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.create_index("ix_attempts_reset_id", ["reset_id", "started_at"], unique=False)

    op.create_table(
        "backups",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_backups_reset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backups")),
        sa.UniqueConstraint("path", name=op.f("uq_backups_path")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("backups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_backups_reset_id"), ["reset_id"], unique=False)

    op.create_table(
        "history",
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_history_reset_id")),
        sa.PrimaryKeyConstraint("reset_id", "sequence", name=op.f("pk_history")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_idempotency_keys_reset_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "joined_requesters",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_joined_requesters_reset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_joined_requesters")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("joined_requesters", schema=None) as batch_op:
        batch_op.create_index("ix_joined_requesters_reset_id", ["reset_id"], unique=False)

    op.create_table(
        "lock_history",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_lock_history_reset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lock_history")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("lock_history", schema=None) as batch_op:
        batch_op.create_index("ix_lock_history_key", ["key", "id"], unique=False)
        batch_op.create_index("ix_lock_history_reset_id", ["reset_id"], unique=False)

    op.create_table(
        "locks",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_locks_reset_id")),
        sa.PrimaryKeyConstraint("key", "reset_id", name=op.f("pk_locks")),
    )
    with op.batch_alter_table("locks", schema=None) as batch_op:
        batch_op.create_index("ix_locks_reset_id", ["reset_id"], unique=False)
        batch_op.create_index(
            "uq_locks_one_holder",
            ["key"],
            unique=True,
            sqlite_where=sa.text("granted = 1"),
            postgresql_where=sa.text("granted"),
        )

    op.create_table(
        "plans",
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_plans_reset_id")),
        sa.PrimaryKeyConstraint("reset_id", "hash", name=op.f("pk_plans")),
    )
    op.create_table(
        "seen_events",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("reset_id", sa.String(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_seen_events_reset_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_seen_events")),
    )
    op.create_table(
        "steps",
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'succeeded', 'failed', 'skipped', 'unknown')",
            name=op.f("ck_steps_state"),
        ),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_steps_reset_id")),
        sa.PrimaryKeyConstraint("reset_id", "name", name=op.f("pk_steps")),
    )


def downgrade() -> None:
    op.drop_table("steps")
    op.drop_table("seen_events")
    op.drop_table("plans")
    with op.batch_alter_table("locks", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_locks_one_holder", sqlite_where=sa.text("granted = 1"), postgresql_where=sa.text("granted")
        )
        batch_op.drop_index("ix_locks_reset_id")

    op.drop_table("locks")
    with op.batch_alter_table("lock_history", schema=None) as batch_op:
        batch_op.drop_index("ix_lock_history_reset_id")
        batch_op.drop_index("ix_lock_history_key")

    op.drop_table("lock_history")
    with op.batch_alter_table("joined_requesters", schema=None) as batch_op:
        batch_op.drop_index("ix_joined_requesters_reset_id")

    op.drop_table("joined_requesters")
    op.drop_table("idempotency_keys")
    op.drop_table("history")
    with op.batch_alter_table("backups", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_backups_reset_id"))

    op.drop_table("backups")
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.drop_index("ix_attempts_reset_id")

    op.drop_table("attempts")
    with op.batch_alter_table("acts", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_acts_unseen", sqlite_where=sa.text("seen = 0"), postgresql_where=sa.text("NOT seen")
        )
        batch_op.drop_index("ix_acts_reset_id")

    op.drop_table("acts")
    with op.batch_alter_table("resets", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_resets_live", sqlite_where=sa.text("live = 1"), postgresql_where=sa.text("live")
        )
        batch_op.drop_index("ix_resets_environment_state")

    op.drop_table("resets")
    op.drop_table("protected_resources")
    op.drop_table("positions")
    with op.batch_alter_table("pending_acts", schema=None) as batch_op:
        batch_op.drop_index("ix_pending_acts_idempotency_key")
        batch_op.drop_index("ix_pending_acts_event_key")

    op.drop_table("pending_acts")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_waiting",
            sqlite_where=sa.text("published_at IS NULL AND refused IS NULL"),
            postgresql_where=sa.text("published_at IS NULL AND refused IS NULL"),
        )

    op.drop_table("outbox")
    op.drop_table("environments")
    op.drop_table("dead_letters")
    op.drop_table("counters")
