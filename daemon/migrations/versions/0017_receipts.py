"""A backup has the receipt of its proof: how, when and where it was restored, and how long that took."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("backups", sa.Column("proof", sa.String(), nullable=False, server_default="read"))
    op.add_column("backups", sa.Column("proof_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("backups", sa.Column("proof_seconds", sa.Float(), nullable=True))
    op.add_column("backups", sa.Column("scratch", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("backups") as backups:
        for name in ("scratch", "proof_seconds", "proof_at", "proof"):
            backups.drop_column(name)
