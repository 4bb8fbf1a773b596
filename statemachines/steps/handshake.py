"""The handshake: one SQL statement that succeeds only in the database in which the daemon holds an advisory lock."""

from __future__ import annotations

from schemas.catalog.catalog import Handshake
from schemas.catalog.steps import STATEMENT

NOT_THE_DATABASE = "resetd: this is not the database that was backed up"
"""The error of the statement in a database where it does not see the lock."""

LARGEST_LOCK_NUMBER = 2**31 - 1
"""Up to this number `pg_advisory_lock(bigint)` shows the number as `pg_locks.objid`, with a `classid` of 0."""


# One line, because some tools read line by line. Any role may read pg_locks. `objsubid` is 1 for a lock by one bigint.
_SQL = (
    "DO $resetd$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks "
    "WHERE locktype = 'advisory' AND granted AND classid = 0 AND objsubid = 1 "
    "AND objid::bigint = :number AND database = (SELECT oid FROM pg_catalog.pg_database "
    "WHERE datname = pg_catalog.current_database())) THEN "
    "RAISE EXCEPTION ':refusal (%)', pg_catalog.current_database(); END IF; END $resetd$;"
).replace(":refusal", NOT_THE_DATABASE)


def statement(handshake: Handshake, number: int) -> tuple[tuple[str, ...], bytes | None]:
    """Return argv and stdin with which the service's own tool shows that it reaches the database of lock `number`.

    The argument `{statement}` becomes the SQL. Where the handshake has no such argument, the tool reads the SQL from
    stdin.

    Raises:
        ValueError: `number` is no lock number that `hold_lock` gives.
    """
    if not 0 < number <= LARGEST_LOCK_NUMBER:
        raise ValueError(f"{number} is no advisory lock number of a handshake")
    sql = _SQL.replace(":number", str(number))
    if STATEMENT not in handshake.argv:
        return handshake.argv, f"{sql}\n".encode()
    return tuple(sql if argument == STATEMENT else argument for argument in handshake.argv), None
