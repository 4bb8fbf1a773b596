"""Finds what was launched twice, from the witness's records alone.

Three things count: two outermost launches of one attempt; two attempts of one step whose processes overlap in time,
nested and orphaned processes included; more than one attempt of a step that may never be tried again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

from sandbox.journal.records import Journal, Launch, Marker


@dataclass(frozen=True)
class Finding:
    """One violation. `rule` is `same-attempt`, `overlap` or `forbidden-retry`."""

    rule: str
    attempts: tuple[str, ...]
    text: str


def twice(journal: Journal, never: Collection[str] = ()) -> list[Finding]:
    """Find everything that was launched twice; `never` names the steps of that idempotency class.

    Attempts belong to one step when step and namespace are the same, whatever their resets: two resets that run a step
    at once are as wrong as one reset that does. A forbidden retry is a second attempt within one reset.
    """
    by_attempt = journal.by_attempt()
    return [
        *_same_attempt(by_attempt),
        *_overlaps(journal, by_attempt),
        *_forbidden(by_attempt, never),
    ]


def _same_attempt(by_attempt: dict[str, tuple[Launch, ...]]) -> list[Finding]:
    return [
        Finding("same-attempt", (attempt,), f"{attempt}: {_listed(launches)}")
        for attempt, launches in by_attempt.items()
        if len(launches) > 1
    ]


def _overlaps(journal: Journal, by_attempt: dict[str, tuple[Launch, ...]]) -> list[Finding]:
    steps: dict[tuple[str, str], list[str]] = {}
    for attempt, launches in by_attempt.items():
        steps.setdefault((launches[0].namespace, Marker.parse(attempt).step), []).append(attempt)
    found = []
    for (namespace, step), attempts in steps.items():
        spans = {attempt: journal.span(attempt) for attempt in attempts}
        for attempt, other in combinations(attempts, 2):
            (begun, ended), (other_begun, other_ended) = spans[attempt], spans[other]
            if begun < other_ended and other_begun < ended:
                text = f"{namespace} {step}: {attempt} and {other} ran at the same time"
                found.append(Finding("overlap", (attempt, other), text))
    return found


def _forbidden(by_attempt: dict[str, tuple[Launch, ...]], never: Collection[str]) -> list[Finding]:
    tries: dict[tuple[str, str], list[str]] = {}
    for attempt in by_attempt:
        marker = Marker.parse(attempt)
        if marker.step in never:
            tries.setdefault((marker.reset, marker.step), []).append(attempt)
    return [
        Finding("forbidden-retry", tuple(attempts), f"{step} was tried {len(attempts)} times")
        for (_, step), attempts in tries.items()
        if len(attempts) > 1
    ]


def _listed(launches: tuple[Launch, ...]) -> str:
    return ", ".join(f"#{launch.id} {launch.command} in {launch.pod}" for launch in launches)
