"""How a state says that its reset has to wait: for what, since when, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.catalog.operations import Window
from schemas.plan import Plan
from schemas.resets import Reset, Waiting
from statemachines.freezes import concerned
from statemachines.windows import Bound, agree_until, bound


@dataclass(frozen=True)
class Pause:
    """What a reset waits for, and how long until the loop looks at it again (seconds)."""

    waiting: Waiting
    seconds: float
    lets_locks_go: bool = False
    """Whether others may have its locks meanwhile: one of them may be who it waits for."""


@dataclass(frozen=True)
class WaitingLimits:
    """How long a reset waits for something before it stops."""

    approval_ttl: timedelta = timedelta(hours=24)
    facts: timedelta = timedelta(minutes=2)
    """For facts that can't be read now."""
    provisioning: timedelta = timedelta(minutes=30)
    """For the facts of an environment that is being provisioned."""
    settled: timedelta = timedelta(minutes=30)
    """For ArgoCD to call the environment settled."""
    windows: tuple[Window, ...] = ()
    """The catalog's maintenance windows."""

    def bound(self, reset: Reset, plan: Plan | None, now: datetime) -> Bound | None:
        """Return what windows say of the reset's first destructive step; None where none binds it."""
        return bound(self.windows, concerned(reset.environment, plan), now) if self.windows else None

    def agree_until(self, reset: Reset, plan: Plan | None, now: datetime) -> datetime:
        """Return until when people may agree who are asked now, and until when that may be used."""
        return agree_until(self.bound(reset, plan, now), now, self.approval_ttl)


def waiting_since(reset: Reset, reason: str, now: datetime) -> datetime:
    """When the reset began to wait for `reason`; `now` where it waits for something else, or for nothing."""
    waiting = reset.waiting_for
    if waiting is not None and waiting.reason == reason and waiting.since is not None:
        return waiting.since
    return now
