"""Saying no: what a rule or an act's judge answers."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.reasons import Reason


@dataclass(frozen=True)
class Refused:
    """One reason with the case at hand."""

    reason: Reason
    detail: str
    """For people; without secrets."""
    temporary: bool = False
    """Whether asking again later may be answered otherwise: a fact could not be read for now."""
    by_rule: bool = True
    """Whether a rule stands in the way. Otherwise it is the world (a pod is missing), and the reset can be resumed."""


@dataclass(frozen=True)
class Refusal:
    """All reasons at once, so that nobody meets them one by one. Never empty."""

    reasons: tuple[Refused, ...]

    @property
    def reason(self) -> Reason:
        """The one to show first: a rule before the state of the world."""
        return self.first.reason

    @property
    def detail(self) -> str:
        """All details in one text."""
        return "; ".join(dict.fromkeys(one.detail for one in self.reasons))

    @property
    def first(self) -> Refused:
        """The most lasting one: a rule, then a permanent fact, then a temporary one."""
        return min(self.reasons, key=lambda one: (not one.by_rule, one.temporary))

    @property
    def temporary(self) -> bool:
        """Whether every reason may pass by itself: read the facts again later."""
        return all(one.temporary for one in self.reasons)

    @property
    def by_rule(self) -> bool:
        """Whether a rule refuses it (`rejected`), and not only the state of the world (`failed`, resumable)."""
        return any(one.by_rule for one in self.reasons)


def refuse(reason: Reason, detail: str) -> Refusal:
    """A refusal for one reason."""
    return Refusal((Refused(reason, detail),))
