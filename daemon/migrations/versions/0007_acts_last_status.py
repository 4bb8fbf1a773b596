"""An act knows its reset's last status when it was appended: whether it came before or after the reset stopped."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("acts", table_kwargs={"sqlite_autoincrement": True}) as acts:
        acts.add_column(sa.Column("last_status", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("acts", table_kwargs={"sqlite_autoincrement": True}) as acts:
        acts.drop_column("last_status")
