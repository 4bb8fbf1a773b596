"""What is remembered of protected environments names who uses what; people's words about it are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_FORMER = (
    "request",
    "join",
    "approve",
    "deny",
    "cancel",
    "resume",
    "skip",
    "resolve",
    "rollback",
    "release",
    "adopt",
)
_NEW = ("confirm", "forget", "withdraw")


def upgrade() -> None:
    op.create_table(
        "protected_uses",
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("database", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("environment", "service", "database", "key", name=op.f("pk_protected_uses")),
    )
    op.create_index("ix_protected_uses_key", "protected_uses", ["key"])
    op.execute(
        "INSERT INTO protected_uses (environment, service, database, key, first_seen_at, last_seen_at) "
        "SELECT environment, '', '', key, seen_at, seen_at FROM protected_resources"
    )
    op.drop_table("protected_resources")
    op.create_table(
        "protected_words",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=True),
        sa.Column("database", sa.String(), nullable=True),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("uses", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("given_by", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.CheckConstraint("kind IN ('confirm', 'forget')", name=op.f("ck_protected_words_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_protected_words")),
    )
    op.create_index("ix_protected_words_expires_at", "protected_words", ["expires_at"])
    _take_actions(*_FORMER, *_NEW)


def downgrade() -> None:
    words = ", ".join(f"'{action}'" for action in _NEW)
    op.execute(f"DELETE FROM audit WHERE action IN ({words})")  # noqa: S608 - written out above
    _take_actions(*_FORMER)
    op.drop_table("protected_words")
    op.create_table(
        "protected_resources",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_protected_resources")),
    )
    op.execute(
        "INSERT INTO protected_resources (key, environment, seen_at) "
        "SELECT key, min(environment), min(first_seen_at) FROM protected_uses GROUP BY key"
    )
    op.drop_table("protected_uses")


def _take_actions(*actions: str) -> None:
    listed = ", ".join(f"'{action}'" for action in actions)
    with op.batch_alter_table("audit") as audit:
        audit.drop_constraint(op.f("ck_audit_action"), type_="check")
        audit.create_check_constraint(op.f("ck_audit_action"), f"action IN ({listed})")
