"""What the daemon learned of a step: which tables had rows after it, in the last wipe that was done."""

from __future__ import annotations

from schemas.requests import Option
from schemas.wire import ResetId, StepName, Time, Wire

TableNames = tuple[str, ...]
"""Tables as `SCHEMA.TABLE`, sorted."""


class LearnedKey(Wire):
    """What has to be the same for two runs of a step to leave rows in the same tables."""

    environment: str
    step: StepName
    check: str
    """The check's name, which names its database."""
    options: tuple[Option, ...] = ()
    """Sorted, each once; so are `integrations`."""
    integrations: tuple[str, ...] = ()
    image: str
    """Digest of the image that ran the step."""


class Learned(Wire):
    """The tables that had rows after a step, and who says so."""

    key: LearnedKey
    tables: TableNames
    reset_id: ResetId
    """The wipe that was done, or the reset in which a person accepted a change of it."""
    at: Time
