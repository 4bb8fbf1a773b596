"""A finding: one thing that is not as it has to be."""

from __future__ import annotations

from dataclasses import dataclass

RULES = {
    "lost": "lost",
    "crashed": "drives and daemons that crashed",
    "accepted-twice": "one request, two resets",
    "same-attempt": "launched twice",
    "overlap": "launched twice",
    "forbidden-retry": "launched twice",
    "again-after-success": "launched twice",
    "unrecorded": "launched twice",
    "late": "launched twice",
    "woken": "work of a daemon whose lease was over",
    "not-alone": "two users of a resource",
    "outlived": "two users of a resource",
    "no-backup": "destroyed without a backup",
    "old-dump": "destroyed without a backup",
    "no-consent": "destroyed without a consent that counted",
    "old-consent": "destroyed without a consent that counted",
    "expired-consent": "destroyed without a consent that counted",
    "invented-consent": "destroyed without a consent that counted",
    "own-acceptance": "destroyed without a consent that counted",
    "lone-acceptance": "destroyed without a consent that counted",
    "dead-word": "words that did not count",
    "unseen-user": "words that did not count",
    "unaudited": "acts that the audit does not know",
    "elsewhere": "commands in another environment",
    "wrong-database": "wrong database",
    "contents": "contents not as after an undisturbed reset",
    "repository": "repository not as told",
    "gap": "status gaps",
    "order": "status gaps",
    "impossible-state": "states that never were",
    "changed-event": "status events that changed",
    "false-claim": "outcomes that are not true",
    "open-attempt": "outcomes that are not true",
    "known-after-all": "unknown, but could be known",
}
"""Every rule, with the line of the table that counts its findings."""


@dataclass(frozen=True)
class Finding:
    """A broken rule. `rule` is one of `RULES`; `text` is for people."""

    rule: str
    text: str

    @property
    def line(self) -> str:
        """The line of the table that counts it."""
        return RULES[self.rule]
