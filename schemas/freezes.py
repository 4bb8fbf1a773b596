"""Freezes: a person's word that nothing new is destroyed until a moment, in one environment or in all."""

from __future__ import annotations

from schemas.wire import EnvironmentName, Text, Time, Wire


class Freeze(Wire):
    """From when it is stored until it ends no reset that it is about crosses its first destructive step."""

    id: str
    """UUIDv7."""
    environment: EnvironmentName | None = None
    """None for all environments."""
    now: bool = False
    """Whether resets that have crossed that step pause between steps until it ends."""
    reason: Text
    given_by: str
    """The subject of the token."""
    given_at: Time
    expires_at: Time

    @property
    def scope(self) -> str:
        """Name what is frozen, for people."""
        return self.environment or "all environments"


class KeptFreeze(Freeze):
    """A freeze, and whether somebody ended it before its time."""

    ended_at: Time | None = None
    ended_by: str | None = None

    @property
    def freeze(self) -> Freeze:
        """Return the freeze alone."""
        return Freeze(**{name: getattr(self, name) for name in Freeze.model_fields})
