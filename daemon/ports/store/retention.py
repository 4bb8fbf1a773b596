"""The store, as the pruning asks it: old rows go in small batches, and the tables are measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from schemas.retention import Pruned, Refusal, Retention
from schemas.wire import Time


class RetentionStore(Protocol):
    """Lets old rows go. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def prune(self, retention: Retention, *, now: Time, limit: int) -> Pruned:
        """Remove up to `limit` rows of each kind that are too old or too many, in one transaction.

        Several processes may do it at once. What stays, whatever its age:

        - A reset that is not over, can be resumed, has unread acts, a live lease, a backup or an idempotency key. One
          that was cancelled before it destroyed anything can't be resumed, nor one that stopped and was superseded.
        - The newest reset of an environment that has one which is no mere answer (`statemachines.retention.ANSWERED`).
        - A message that waits to be published or that the broker refused, and the newest message.
        - The last event or key of a reset that is not over.
        - The last two holders of each lock, so that what was superseded stays so.
        - A chain of the audit whose reset is there, or the daemon's own; a chain goes whole or stays whole.

        A reset goes with all that belongs to it; its audit stays unless the reset was a mere answer. Where a rule
        refused it, its event, key and audit stay as those of one that worked: it might not be refused the next time.
        What is left of rejected ones is a `Refusal` for each environment. Counters of environments go on from where
        they were.
        """
        ...

    async def forget_backup(self, path: str) -> None:
        """Remove what is recorded of a dump that is gone. What is not recorded is no error."""
        ...

    async def refusals(self, *, limit: int = 100) -> tuple[Refusal, ...]:
        """Return what is left of refused requests, the last one first."""
        ...

    async def table_sizes(self) -> Mapping[str, int]:
        """Count the rows of each table that grows with time or with what others send."""
        ...
