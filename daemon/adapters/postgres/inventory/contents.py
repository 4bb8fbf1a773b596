"""Reads all that a manifest tells of a database, but for its rows, which `snapshots` counts."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from daemon.adapters.postgres.inventory.definitions import read_definitions
from daemon.adapters.postgres.inventory.environs import read_environs
from daemon.adapters.postgres.inventory.large_objects import read_large_objects
from daemon.adapters.postgres.inventory.sequences import read_sequences
from schemas.backups import Contents, SequenceRange, SequenceState


async def read_contents(connection: AsyncConnection[TupleRow], rows: Mapping[str, int]) -> Contents:
    """Read the database in the session's snapshot; sequences as they stand now.

    Raises:
        psycopg.Error: something may not be read by the role, or the server does not answer.
    """
    sequences = await read_sequences(connection)
    return Contents(
        rows=dict(rows),
        sequences=between(sequences, sequences),
        large_objects=await read_large_objects(connection),
        definitions=await read_definitions(connection),
        **await read_environs(connection),
    )


def between(
    before: Mapping[str, SequenceState], after: Mapping[str, SequenceState]
) -> dict[str, SequenceRange]:
    """Put together where each sequence stood before and after. One of which only one is known stood still."""
    return {
        name: SequenceRange(
            before=before.get(name) or after[name],
            after=after.get(name) or before[name],
        )
        for name in before.keys() | after.keys()
    }
