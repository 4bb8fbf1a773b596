"""The store, as the intake and the API ask it: they put requests and acts in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from schemas.audit import AuditEntry
from schemas.intake import Admission, Batch, NewRequest
from schemas.records import LogPosition
from schemas.resets import Act
from schemas.wire import Time


class IntakeStore(Protocol):
    """Takes requests and acts in. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def positions(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], LogPosition]:
        """Return the stored position of each (topic, partition); absent where none is stored."""
        ...

    async def take_in(self, batch: Batch, *, now: Time, limit_waiting: int) -> tuple[Admission, ...]:
        """Store a batch of entries with its offset, in one transaction, and return the admissions of its requests.

        - Entries are deduplicated by (source, id) and by idempotency key.
        - A request joins an identical one that waits.
        - A request is rejected as `environment-busy` where `limit_waiting` resets of its environment wait already.
        - Each new or rejected reset gets its number and its first status event.

        Raises:
            LeaseLostError: the stored offset is not `batch.first`: another consumer has the partition.
            PortError: nothing can be stored just now. Every other error is the fault of an entry.
        """
        ...

    async def admit(self, new: NewRequest, *, now: Time, limit_waiting: int) -> Admission:
        """Store a request that did not come by Kafka, as `take_in` does.

        Raises:
            ValueError: an act was handled under the request's source and id.
        """
        ...

    async def append_act(self, act: Act) -> Act:
        """Append an act, and return it with its id.

        Raises:
            PermanentError: `unknown-reset`.
        """
        ...

    async def append_audit(self, entry: AuditEntry) -> None:
        """Append a line to its chain of the audit, where no other transaction does: for an act refused at once, say."""
        ...
