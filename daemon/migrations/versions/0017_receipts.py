"""A backup has the receipt of its proof: how, when and where it was restored, and how long that took."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


_ACTIONS = (
    "request", "join", "approve", "deny", "cancel", "resume", "skip", "resolve", "rollback", "release", "accept",
    "adopt", "confirm", "forget", "withdraw", "freeze", "unfreeze", "hold", "unhold",
)  # fmt: skip
_NEW = "prove"


def upgrade() -> None:
    _take(*_ACTIONS, _NEW)
    op.add_column("backups", sa.Column("proof", sa.String(), nullable=False, server_default="read"))
    op.add_column("backups", sa.Column("proof_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("backups", sa.Column("proof_seconds", sa.Float(), nullable=True))
    op.add_column("backups", sa.Column("scratch", sa.String(), nullable=True))


def downgrade() -> None:
    op.execute(f"DELETE FROM audit WHERE action = '{_NEW}'")  # noqa: S608 - written out above
    _take(*_ACTIONS)
    with op.batch_alter_table("backups") as backups:
        for name in ("scratch", "proof_seconds", "proof_at", "proof"):
            backups.drop_column(name)


def _take(*actions: str) -> None:
    """Let the audit take these actions and no others."""
    listed = ", ".join(f"'{action}'" for action in actions)
    with op.batch_alter_table("audit") as audit:
        audit.drop_constraint(op.f("ck_audit_action"), type_="check")
        audit.create_check_constraint(op.f("ck_audit_action"), f"action IN ({listed})")
