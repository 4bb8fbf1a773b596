"""People freeze and hold environments."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_STATES = (
    "planning", "awaiting-approval", "queued", "quiescing", "backing-up", "migrating-core", "seeding", "resetting-git",
    "verifying", "releasing", "done", "planned", "rejected", "denied", "failed", "needs-operator", "cancelling",
    "cancelled", "rolling-back", "rolled-back",
)  # fmt: skip
_PAUSED = "paused"
_ACTS = ("approve", "deny", "cancel", "resume", "skip", "resolve", "rollback", "release", "accept")
_ACTIONS = ("request", "join", *_ACTS, "adopt", "confirm", "forget", "withdraw")
_NEW = ("freeze", "unfreeze", "hold", "unhold")


def upgrade() -> None:
    op.create_table(
        "freezes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=True),
        sa.Column("now", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("given_by", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freezes")),
    )
    op.create_index("ix_freezes_expires_at", "freezes", ["expires_at"])
    op.create_table(
        "holds",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("keys", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_expires_at", "holds", ["expires_at"])
    _take("audit", "action", *_ACTIONS, *_NEW)
    _take("resets", "state", *_STATES, _PAUSED)


def downgrade() -> None:
    words = ", ".join(f"'{action}'" for action in _NEW)
    op.execute(f"DELETE FROM audit WHERE action IN ({words})")  # noqa: S608 - written out above
    # What is paused has destroyed something: a person of the version before resumes it.
    op.execute(f"UPDATE resets SET state = 'failed' WHERE state = '{_PAUSED}'")  # noqa: S608 - written out above
    _take("resets", "state", *_STATES)
    _take("audit", "action", *_ACTIONS)
    op.drop_table("holds")
    op.drop_table("freezes")


def _take(table: str, column: str, *values: str) -> None:
    listed = ", ".join(f"'{value}'" for value in values)
    name = op.f(f"ck_{table}_{column}")
    with op.batch_alter_table(table) as changed:
        changed.drop_constraint(name, type_="check")
        changed.create_check_constraint(name, f"{column} IN ({listed})")
