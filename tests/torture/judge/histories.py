"""What the status events tell of a reset's way: when it stopped, when it was let to work, and by which plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.torture.judge.evidence import Evidence, Told
from tests.torture.judge.launches import seconds
from tests.torture.judge.state_order import STOPPED, WORKING


@dataclass(frozen=True)
class Begin:
    """A reset was let to work: its facts were read between `queued_at` and `at`, and found to be those of the plan."""

    reset: str
    plan_hash: str | None
    queued_at: float
    at: float


def by_reset(evidence: Evidence) -> Mapping[str, list[Told]]:
    """The events of each reset, by their numbers."""
    found: dict[str, list[Told]] = defaultdict(list)
    for told in sorted(evidence.told, key=lambda one: (one.data["resetId"], one.data["sequence"])):
        found[told.data["resetId"]].append(told)
    return found


def stops(evidence: Evidence) -> Mapping[str, list[float]]:
    """When each reset came to a stop, in seconds since 1970."""
    found: dict[str, list[float]] = defaultdict(list)
    for reset, events in by_reset(evidence).items():
        state = None
        for told in events:
            now = told.data["state"]
            if now in STOPPED and now != state:
                found[reset].append(seconds(told.data["occurredAt"]))
            state = now
    return found


def begins(evidence: Evidence) -> Iterator[Begin]:
    """Each time that a reset went from the queue to work."""
    for reset, events in by_reset(evidence).items():
        queued, state = 0.0, None
        for told in events:
            now, at = told.data["state"], seconds(told.data["occurredAt"])
            if now == "queued":
                queued = at
            elif now == WORKING[0] != state:
                yield Begin(reset, told.data.get("planHash"), queued, at)
            state = now


def told_at(told: Told) -> float:
    """When the status came to be, in seconds since 1970."""
    return seconds(told.data["occurredAt"])


def hash_at(evidence: Evidence, reset: str, at: float) -> str | None:
    """The hash of the plan that the reset had at that time."""
    found = None
    for told in by_reset(evidence).get(reset, ()):
        if seconds(told.data["occurredAt"]) > at:
            break
        found = told.data.get("planHash")
    return found


def plan_of(evidence: Evidence, reset: str, plan_hash: str | None) -> Mapping[str, Any] | None:
    """The plan of a reset with this hash; None where nobody saw it."""
    last = evidence.plans.get(reset)
    if last is not None and plan_hash in {None, last.get("hash")}:
        return last
    return evidence.former_plans.get(plan_hash or "")


def person(name: str) -> str:
    """A name as people are told apart: `Ana` is `ana`."""
    return name.strip().casefold()


def requesters(evidence: Evidence, reset: str) -> set[str]:
    """The people who asked for a reset with a token. A name that an event claims is nobody."""
    return {person(asked.by) for asked in evidence.asked if asked.reset_id == reset and asked.by}
