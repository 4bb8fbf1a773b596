"""The history of locks may name resets of a state that was lost: no row of this one holds them."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("lock_history", table_kwargs={"sqlite_autoincrement": True}) as history:
        history.drop_constraint(op.f("fk_lock_history_reset_id"), type_="foreignkey")


def downgrade() -> None:
    op.execute("DELETE FROM lock_history WHERE reset_id NOT IN (SELECT id FROM resets)")
    with op.batch_alter_table("lock_history", table_kwargs={"sqlite_autoincrement": True}) as history:
        history.create_foreign_key(op.f("fk_lock_history_reset_id"), "resets", ["reset_id"], ["id"])
