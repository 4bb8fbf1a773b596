"""Refusals: what the core answers where a rule forbids something or the world does not allow it."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.reasons import Reason


@dataclass(frozen=True)
class Refused:
    """One reason for a refusal, with the details of the case."""

    reason: Reason
    detail: str
    """Text for people, without secrets."""
    temporary: bool = False
    """Whether the reason may pass by itself: a fact could not be read for now."""
    by_rule: bool = True
    """Whether a rule stands in the way. Otherwise it is the world (a pod is missing), and the reset can be resumed."""


@dataclass(frozen=True)
class Refusal:
    """A refusal with all its reasons at once, so that a person need not meet them one by one. Never empty."""

    reasons: tuple[Refused, ...]

    @property
    def reason(self) -> Reason:
        """The reason to show first: a rule before the state of the world."""
        return self.first.reason

    @property
    def detail(self) -> str:
        """All details in one text."""
        return "; ".join(dict.fromkeys(refused.detail for refused in self.reasons))

    @property
    def first(self) -> Refused:
        """The reason that lasts longest: a rule, then a permanent fact, then a temporary one."""
        return min(self.reasons, key=lambda refused: (not refused.by_rule, refused.temporary))

    @property
    def temporary(self) -> bool:
        """Whether every reason may pass by itself, so that the facts are to be read again later."""
        return all(refused.temporary for refused in self.reasons)

    @property
    def by_rule(self) -> bool:
        """Whether a rule is among the reasons. Then the reset is `rejected`; otherwise it is `failed` and resumable."""
        return any(refused.by_rule for refused in self.reasons)


def refuse(reason: Reason, detail: str) -> Refusal:
    """Make a refusal for one reason, by a rule."""
    return Refusal((Refused(reason, detail),))
