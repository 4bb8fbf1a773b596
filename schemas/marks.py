"""What is kept beside the backups: a mark of the state database, and what was launched when it was made."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.resets import Control
from schemas.wire import AttemptId, ResetId, Time, Wire


class Launch(Wire):
    """An attempt that is recorded in the state and about to act."""

    attempt: AttemptId
    environment: str
    event_source: str | None = None
    """Of the event that asked for the reset: read once more from Kafka, it must not ask for it again."""
    event_id: str | None = None
    control: Control | None = None
    """Where its command is found: what a state that lost the attempt has to look at before another one starts."""

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
    """The newest row of the outbox: whoever has that very row has all that was committed before it."""

    number: Annotated[int, Field(ge=0)]
    """Its id, which grows in the order of the commits; 0 where there is none."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]*$")]
    """Of its content: another history has another row under the same id. Empty where there is none."""


class Mark(Wire):
    """A position that the state had reached, and what was launched right after."""

    position: Position
    at: Time
    launches: tuple[Launch, ...] = ()
