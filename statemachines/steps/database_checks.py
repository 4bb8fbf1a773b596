"""What the daemon saw in a database, beside what a check asks for: met, not met, or nobody can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.checks import Absent, KnownLedger, Ledger, MigrationsCheck, PlannedCheck, RowsCheck
from schemas.patterns import Pattern, PatternError
from schemas.reasons import Reason

_SHOWN = 5
"""Names that a text lists."""

_KNOWN: Mapping[KnownLedger, Ledger] = {
    KnownLedger.PRISMA: Ledger(
        table=("_prisma_migrations",),
        column="migration_name",
        pattern=r".+",
        finished="finished_at IS NOT NULL",
        undone="rolled_back_at IS NOT NULL",
    ),
    KnownLedger.TYPEORM: Ledger(table=("migrations",), column="name", pattern=r"(?:^|\D)(\d{13})(?:\D|$)"),
}


class Record(StrEnum):
    """What a row of a ledger says of its migration."""

    APPLIED = "applied"
    UNDONE = "undone"  # rolled back: the row does not count
    OPEN = "open"  # begun and not finished: the migration failed, or runs


@dataclass(frozen=True)
class LedgerRow:
    """A row of a ledger: the text that names the migration, and what the row says."""

    text: str
    record: Record


@dataclass(frozen=True)
class Fingerprint:
    """How many rows there are, and a digest of what they say whatever their order."""

    rows: int
    digest: str

    def as_fact(self) -> dict[str, int | str]:
        """As it is kept with the attempt."""
        return {"rows": self.rows, "digest": self.digest}


@dataclass(frozen=True)
class Verdict:
    """What became of one check."""

    reason: Reason | None = None
    """None: it is met."""
    detail: str = ""
    """What was expected and what was found, for people."""
    told: str | None = None
    """What is said although the check is met."""
    check: str = ""
    """The check's name."""
    tables: Mapping[str, Any] | None = None
    """Of a learned check: the tables with rows (`filled`), and those that fail it (`empty`)."""
    hint: str | None = None
    """How a person takes what was found as the new truth."""
    shows: bool = False
    """Whether there are rows that a seed may have left. A ledger in order, or what is as before, tells of no seed."""


MET = Verdict()
SHOWN = Verdict(shows=True)
"""It is met, by rows that a seed may have left."""


def ledger_of(check: MigrationsCheck) -> Ledger:
    """The ledger of a check, with the names that its table may have."""
    if isinstance(check.ledger, Ledger):
        return check.ledger
    known = _KNOWN[check.ledger]
    return known if check.table is None else known.model_copy(update={"table": check.table})


def carried(check: MigrationsCheck, lines: Iterable[str]) -> tuple[str, ...]:
    """List the ids of the migrations that an image carries, each once, from the lines of its list.

    Files of one migration that lie side by side (`.ts`, `.js`, `.d.ts`, `.js.map`) are one id.
    """
    try:
        pattern = Pattern.of(ledger_of(check).pattern)
    except PatternError:
        return ()  # of a plan from before: nothing is found, and so nothing can be told
    return tuple(sorted({found for line in lines if (found := pattern.found_in(line.strip())) is not None}))


def judge_migrations(check: PlannedCheck, ids: Sequence[str], rows: Sequence[LedgerRow] | None) -> Verdict:
    """Compare the image's migrations with the ledger; `rows` is None where there is no ledger."""
    assert check.migrations is not None
    ledger = ledger_of(check.migrations)
    name = " or ".join(ledger.table)
    if not ids:
        return nothing_carried(check)
    if rows is None:
        return Verdict(
            Reason.MIGRATIONS_PENDING,
            f"{check.database}: expected {len(ids)} migrations in {name}, found no such table",
        )
    pattern = Pattern.of(ledger.pattern)
    records: dict[str, set[Record]] = {}
    for row in rows:
        records.setdefault(pattern.found_in(row.text) or row.text, set()).add(row.record)
    unfinished = [one for one in ids if Record.OPEN in records.get(one, ())]
    pending = [one for one in ids if not records.get(one, set()) & {Record.APPLIED, Record.OPEN}]
    if unfinished or pending:
        found = [f"not finished: {listed(unfinished)}"] if unfinished else []
        found += [f"not applied: {listed(pending)}"] if pending else []
        return Verdict(
            Reason.CHECK_NOT_MET if unfinished else Reason.MIGRATIONS_PENDING,
            f"{check.database}: expected all {len(ids)} migrations of the image finished in {name}, "
            f"found {'; '.join(found)}",
        )
    extra = sorted(records.keys() - set(ids))
    return Verdict(told=f"{name} has others, too: {listed(extra)}") if extra else MET


def nothing_carried(check: PlannedCheck) -> Verdict:
    """The verdict on an image that lists no migration: whether any is missing can't be told."""
    assert check.migrations is not None
    where = check.migrations.directory or " ".join(check.migrations.list or ())
    return Verdict(
        Reason.MIGRATIONS_NOT_SHOWN,
        f"{check.database}: can't tell: expected at least one migration of the image in {where}, found none",
    )


def judge_rows(check: PlannedCheck, found: int | None) -> Verdict:
    """Compare how many rows (or tables with rows) were found with what is asked for; None: there is no such table."""
    rows = check.rows
    assert rows is not None
    what = _counted(rows)
    if found is None:
        if rows.absent is Absent.TELL:
            return Verdict(told=f"{check.database} has no table {' or '.join(rows.table or ())}")
        return Verdict(
            Reason.CHECK_NOT_MET,
            f"{check.database}: expected at least {rows.at_least} {what}, found no such table",
        )
    if found >= rows.at_least:
        return MET if counts_ledger(check) else SHOWN
    return Verdict(
        Reason.CHECK_NOT_MET, f"{check.database}: expected at least {rows.at_least} {what}, found {found}"
    )


def counts_ledger(check: PlannedCheck) -> bool:
    """Whether a check of rows is met by those of a migration ledger."""
    ledgers = {table.rpartition(".")[2] for table in check.ledgers}
    counted = check.rows.table if check.rows is not None else None
    return any(table.rpartition(".")[2] in ledgers for table in counted or ())


def judge_unchanged(
    check: PlannedCheck, before: Mapping[str, object] | None, now: Fingerprint | None
) -> Verdict:
    """Compare what is there with what was recorded before the launch.

    `before` is `{}` where there was no such table, and None where nothing was recorded; `now` is None where there is no
    such table.
    """
    asked = check.unchanged
    assert asked is not None
    what = " or ".join(asked.table or ()) or "the rows of its query"
    if before is None:
        return Verdict(
            Reason.CHECK_NOT_MET,
            f"{check.database}: can't tell whether {what} is as before: nothing was recorded",
        )
    if not before and now is None:
        if asked.absent is Absent.TELL:
            return Verdict(told=f"{check.database} has no table {what}")
        return Verdict(
            Reason.CHECK_NOT_MET, f"{check.database}: expected a table {what}, found no such table"
        )
    if now is not None and before == now.as_fact():
        return MET
    if not before:
        return MET  # the command made the table: nothing was there to survive
    found = "no such table" if now is None else f"{now.rows} rows"
    if now is not None and now.rows == before["rows"]:
        found += " with other contents"
    return Verdict(
        Reason.CHECK_NOT_MET,
        f"{check.database}: expected {what} as before the command ({before['rows']} rows), found {found}",
    )


def _counted(rows: RowsCheck) -> str:
    if rows.any_table:
        return "table beside the ledger with rows"
    if rows.query is not None:
        return f"rows of its query ({rows.query})"
    where = f" where {rows.where}" if rows.where else ""
    return f"rows in {' or '.join(rows.table or ())}{where}"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
