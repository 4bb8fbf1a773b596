"""The audit, hashes of histories, since when locks are held or asked for, and the state database's own id."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.resets import HistoryEntry
from statemachines.history.audit import chained
from statemachines.history.chain import BEGINNING, link

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Written out: a later word comes by a migration of its own, also into a database that is made anew.
_ACTIONS = [
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
]
_VERDICTS = ("applied", "refused")
_HISTORY = sa.table(
    "history",
    sa.column("reset_id", sa.String()),
    sa.column("sequence", sa.Integer()),
    sa.column("at", UTCDateTime()),
    sa.column("type", sa.String()),
    sa.column("data", sa.JSON()),
    sa.column("hash", sa.String()),
)
_RESETS = sa.table(
    "resets",
    sa.column("id", sa.String()),
    sa.column("environment", sa.String()),
    sa.column("channel", sa.String()),
    sa.column("request", sa.JSON()),
    sa.column("created_at", UTCDateTime()),
)


def upgrade() -> None:
    audit, heads = _tables()
    op.create_table(
        "state",
        sa.Column("id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state")),
    )
    op.add_column("history", sa.Column("hash", sa.String(), nullable=True))
    op.add_column("locks", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE locks SET since = (SELECT updated_at FROM resets WHERE resets.id = locks.reset_id)")
    connection = op.get_bind()
    _link_histories(connection)
    _begin_audit(connection, audit, heads)
    with op.batch_alter_table("history") as history:
        history.alter_column("hash", existing_type=sa.String(), nullable=False)
    with op.batch_alter_table("locks") as locks:
        locks.alter_column("since", existing_type=sa.DateTime(timezone=True), nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("locks") as locks:
        locks.drop_column("since")
    with op.batch_alter_table("history") as history:
        history.drop_column("hash")
    for name in ("state", "audit_heads", "audit"):
        op.drop_table(name)


def _tables() -> tuple[sa.Table, sa.Table]:
    actions = ", ".join(f"'{action}'" for action in _ACTIONS)
    verdicts = ", ".join(f"'{verdict}'" for verdict in _VERDICTS)
    audit = op.create_table(
        "audit",
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=True),
        sa.Column("reset_id", sa.String(), nullable=True),
        sa.Column("act", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint(f"action IN ({actions})", name=op.f("ck_audit_action")),
        sa.CheckConstraint(f"verdict IN ({verdicts})", name=op.f("ck_audit_verdict")),
        sa.ForeignKeyConstraint(["reset_id"], ["resets.id"], name=op.f("fk_audit_reset_id")),
        sa.PrimaryKeyConstraint("chain", "number", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_environment_at", "audit", ["environment", "at"])
    heads = op.create_table(
        "audit_heads",
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_heads")),
    )
    return audit, heads


def _link_histories(connection: sa.Connection) -> None:
    before: dict[str, str] = {}
    lines = sa.select(_HISTORY).order_by(_HISTORY.c.reset_id, _HISTORY.c.sequence)
    for row in connection.execute(lines).mappings().all():
        entry = HistoryEntry.model_validate({name: value for name, value in row.items() if name != "hash"})
        content = entry.model_dump(mode="json", by_alias=True)
        before[entry.reset_id] = link(before.get(entry.reset_id, BEGINNING), content)
        here = (_HISTORY.c.reset_id == entry.reset_id) & (_HISTORY.c.sequence == entry.sequence)
        connection.execute(sa.update(_HISTORY).where(here).values(hash=before[entry.reset_id]))


def _begin_audit(connection: sa.Connection, audit: sa.Table, heads: sa.Table) -> None:
    """Every reset's chain begins with its request; what was asked of it before there was an audit is not known."""
    ends: dict[str, tuple[int, str]] = {}
    asked = [
        AuditEntry(
            chain=row["id"],
            at=row["created_at"],
            action=AuditAction.REQUEST,
            verdict=Verdict.APPLIED,
            actor=row["request"]["requestedBy"].replace("\x00", "\ufffd"),
            channel=row["channel"],
            environment=row["environment"],
            reset_id=row["id"],
            detail="asked for before there was an audit",
        )
        for row in connection.execute(sa.select(_RESETS)).mappings().all()
    ]
    if not asked:
        return
    rows = [
        entry.model_dump() | {"action": entry.action.value, "verdict": entry.verdict.value}
        for entry in chained(asked, ends)
    ]
    connection.execute(audit.insert(), rows)
    connection.execute(
        heads.insert(),
        [{"chain": chain, "number": number, "hash": last} for chain, (number, last) in ends.items()],
    )
