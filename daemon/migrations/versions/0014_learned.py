"""What wipes teach of their steps is kept, and a person may accept a change of it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ACTS = ("approve", "deny", "cancel", "resume", "skip", "resolve", "rollback", "release")
_ACTIONS = ("request", "join", *_ACTS, "adopt", "confirm", "forget", "withdraw")
_NEW = "accept"


def upgrade() -> None:
    op.create_table(
        "learned",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("check_name", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("integrations", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("image", sa.String(), nullable=False),
        sa.Column("tables", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reset_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_learned")),
    )
    op.create_index("ix_learned_environment", "learned", ["environment"])
    op.add_column("acts", sa.Column("check_name", sa.String(), nullable=True))
    _take("acts", "kind", *_ACTS, _NEW)
    _take("audit", "action", *_ACTIONS, _NEW)


def downgrade() -> None:
    op.execute(f"DELETE FROM audit WHERE action = '{_NEW}'")  # noqa: S608 - written out above
    op.execute(f"DELETE FROM acts WHERE kind = '{_NEW}'")  # noqa: S608 - written out above
    _take("audit", "action", *_ACTIONS)
    _take("acts", "kind", *_ACTS)
    with op.batch_alter_table("acts", table_kwargs={"sqlite_autoincrement": True}) as acts:
        acts.drop_column("check_name")
    op.drop_table("learned")


def _take(table: str, column: str, *values: str) -> None:
    listed = ", ".join(f"'{value}'" for value in values)
    name = op.f(f"ck_{table}_{column}")
    kept = {"sqlite_autoincrement": True} if table == "acts" else {}
    with op.batch_alter_table(table, table_kwargs=kept) as changed:
        changed.drop_constraint(name, type_="check")
        changed.create_check_constraint(name, f"{column} IN ({listed})")
