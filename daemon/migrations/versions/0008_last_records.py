"""A position knows the record that was stored last: an offset belongs to one log."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("positions", sa.Column("last_offset", sa.BigInteger(), nullable=True))
    op.add_column("positions", sa.Column("last_digest", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("positions") as positions:
        positions.drop_column("last_digest")
        positions.drop_column("last_offset")
