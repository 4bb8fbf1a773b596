"""Holds: a person takes the locks of an environment until a moment."""

from __future__ import annotations

from schemas.wire import EnvironmentName, ResetId, ResourceKey, Text, Time, Wire


class Hold(Wire):
    """A person's hold of an environment and of what it uses."""

    id: str
    """UUIDv7."""
    environment: EnvironmentName
    keys: tuple[ResourceKey, ...]
    """The resources that the environment was seen to use."""
    reason: Text
    holder: str
    """The subject of the token."""
    asked_at: Time
    expires_at: Time


class KeptHold(Hold):
    """A hold, and what became of it."""

    granted_at: Time | None = None
    """None while a reset is still at work there."""
    told_at: Time | None = None
    """When it was told that it ends soon."""
    ended_at: Time | None = None
    ended_by: str | None = None
    """Who ended it; None where it expired."""


class Follower(Wire):
    """A reset that starts when a hold ends."""

    reset_id: ResetId
    environment: str
    number: int


class HoldEnding(Wire):
    """Data of `com.fuse.environment.hold-ending.v1`: a hold ends soon, and these resets start then."""

    hold_id: str
    environment: str
    holder: str
    reason: str
    expires_at: Time
    resets: tuple[Follower, ...]
    """In the order in which they asked for their locks."""
    occurred_at: Time
