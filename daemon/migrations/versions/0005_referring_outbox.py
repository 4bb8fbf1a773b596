"""A status in the outbox names its line of history instead of holding a copy of it; rows that are there keep theirs."""

from base64 import b64encode

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

from schemas.resets import HistoryEntry
from schemas.wire import ResetId
from statemachines.history.status_record import Subject, status_record

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OUTBOX = sa.table(
    "outbox",
    sa.column("id", sa.BigInteger()),
    sa.column("key", sa.LargeBinary()),
    sa.column("value", sa.LargeBinary()),
    sa.column("headers", sa.JSON()),
    sa.column("reset_id", sa.String()),
    sa.column("sequence", sa.Integer()),
)
_HISTORY = sa.table(
    "history",
    sa.column("reset_id", sa.String()),
    sa.column("sequence", sa.Integer()),
    sa.column("at", UTCDateTime()),
    sa.column("type", sa.String()),
    sa.column("data", sa.JSON()),
)
_RESETS = sa.table(
    "resets",
    sa.column("id", sa.String()),
    sa.column("environment", sa.String()),
    sa.column("event_id", sa.String()),
    sa.column("trace_parent", sa.String()),
)


def upgrade() -> None:
    with op.batch_alter_table("outbox", table_kwargs={"sqlite_autoincrement": True}) as outbox:
        outbox.add_column(sa.Column("reset_id", sa.String(), nullable=True))
        outbox.add_column(sa.Column("sequence", sa.Integer(), nullable=True))
        outbox.alter_column("headers", existing_type=sa.JSON(), nullable=True)


def downgrade() -> None:
    _copy_lines(op.get_bind())
    with op.batch_alter_table("outbox", table_kwargs={"sqlite_autoincrement": True}) as outbox:
        outbox.alter_column("headers", existing_type=sa.JSON(), nullable=False)
        outbox.drop_column("sequence")
        outbox.drop_column("reset_id")


def _copy_lines(connection: sa.Connection) -> None:
    named = (
        sa.select(_OUTBOX.c.id.label("row"), _HISTORY, _RESETS)
        .join(
            _HISTORY,
            (_HISTORY.c.reset_id == _OUTBOX.c.reset_id) & (_HISTORY.c.sequence == _OUTBOX.c.sequence),
        )
        .join(_RESETS, _RESETS.c.id == _OUTBOX.c.reset_id)
    )
    for row in connection.execute(named).all():
        reset = Subject(ResetId(row.reset_id), row.environment, row.event_id, row.trace_parent)
        entry = HistoryEntry(
            reset_id=reset.id, sequence=row.sequence, at=row.at, type=row.type, data=row.data
        )
        record = status_record(reset, entry)
        headers = [[name, b64encode(value).decode()] for name, value in record.headers]
        connection.execute(
            sa.update(_OUTBOX)
            .where(_OUTBOX.c.id == row.row)
            .values(key=record.key, value=record.value, headers=headers)
        )
