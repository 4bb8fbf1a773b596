"""The store, as the intake and the API ask it: requests and acts in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from schemas.audit import AuditEntry
from schemas.intake import Admission, Batch, NewRequest
from schemas.resets import Act
from schemas.wire import Time


class IntakeStore(Protocol):
    """Requests and acts in. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def positions(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Stored next offsets; absent where none."""
        ...

    async def take_in(self, batch: Batch, *, now: Time, limit_waiting: int) -> tuple[Admission, ...]:
        """Store a batch with its offset, in one transaction: deduplicated by (source, id) and by idempotency key,
        joined where an identical request waits, `environment-busy` past `limit_waiting` waiting ones.
        Each new or rejected reset gets its number and its first status event.

        Raises:
            LeaseLostError: the stored offset is not `batch.first`: another consumer has the partition.
            PortError: nothing can be stored just now. Whatever else it raises is the fault of an entry.
        """
        ...

    async def admit(self, new: NewRequest, *, now: Time, limit_waiting: int) -> Admission:
        """The same for a request that did not come by Kafka."""
        ...

    async def append_act(self, act: Act) -> Act:
        """Append; answers it with its id.

        Raises:
            PermanentError: `unknown-reset`.
        """
        ...

    async def append_audit(self, entry: AuditEntry) -> None:
        """Append a line to its chain: for what no other transaction tells, such as an act that is refused at once."""
        ...
