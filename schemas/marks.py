"""Marks: what is kept beside the backups to recognise a state database that was restored from an older backup."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.resets import Control
from schemas.wire import AttemptId, ResetId, Time, Wire


class Launch(Wire):
    """An attempt that is recorded in the state database and about to act."""

    attempt: AttemptId
    environment: str
    event_source: str | None = None
    """Source of the event that asked for the reset. Read from Kafka once more, the event must not ask again."""
    event_id: str | None = None
    """Id of that event."""
    control: Control | None = None
    """Where the attempt's command is found. A state that lost it has to look there before it starts another one."""

    @property
    def reset_id(self) -> ResetId:
        """The attempt's reset."""
        return ResetId(self.attempt.partition("/")[0])

    @property
    def step(self) -> str:
        """The attempt's step."""
        return self.attempt.split("/")[1]

    @property
    def number(self) -> int:
        """The attempt's number."""
        return int(self.attempt.rpartition("/")[2])


class Position(Wire):
    """A row of the outbox. A state that has this very row has all that was committed before it."""

    number: Annotated[int, Field(ge=0)]
    """The row's id, which grows in the order of the commits; 0 where there is no row."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]*$")]
    """Digest of the row's content: another history has another row under the same id. Empty where there is no row."""


class Mark(Wire):
    """The position that a state had reached, and the attempts that were about to act when the mark was made."""

    position: Position
    at: Time
    launches: tuple[Launch, ...] = ()
