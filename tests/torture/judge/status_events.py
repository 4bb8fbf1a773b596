"""Rules about status events: no gap, no other order, no state that never was, and one event id for one event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

from tests.torture.judge import state_order
from tests.torture.judge.evidence import Evidence, Told
from tests.torture.judge.finding import Finding

_STEPS = ("step-started.v1", "step-finished.v1")


def _by_reset(evidence: Evidence) -> dict[str, list[Told]]:
    """The events of each reset, each once, in the order in which they first came."""
    seen: set[str] = set()
    found: dict[str, list[Told]] = defaultdict(list)
    for one in evidence.told:
        if one.event_id not in seen:
            seen.add(one.event_id)
            found[one.data["resetId"]].append(one)
    return found


def gaps(evidence: Evidence) -> Iterator[Finding]:
    """Sequences are 1, 2, 3, ... up to what the reset itself says, and come in that order."""
    told = _by_reset(evidence)
    for identifier, reset in evidence.resets.items():
        sequences = [one.data["sequence"] for one in told.get(identifier, [])]
        if sorted(sequences) != list(range(1, reset["sequence"] + 1)):
            missing = sorted(set(range(1, reset["sequence"] + 1)) - set(sequences))
            yield Finding(
                "gap", f"{identifier} is at {reset['sequence']}: told {sequences}, missing {missing}"
            )
        elif sequences != sorted(sequences):
            yield Finding("order", f"{identifier}: told in the order {sequences}")
    by_environment: dict[str, list[int]] = defaultdict(list)
    for events in told.values():
        for one in events:
            by_environment[one.data["environment"]].append(one.data["environmentSequence"])
    for environment, numbers in by_environment.items():
        if len(set(numbers)) != len(numbers):
            yield Finding("order", f"{environment}: an environmentSequence was given twice")


def impossible_states(evidence: Evidence) -> Iterator[Finding]:
    """Each state may follow the one before, and the last one is the one that the reset is in."""
    for identifier, events in _by_reset(evidence).items():
        ordered = sorted(events, key=lambda one: one.data["sequence"])
        unknown = sorted(
            {one.data["state"] for one in ordered if not state_order.is_known(one.data["state"])}
        )
        for state in unknown:
            yield Finding("impossible-state", f"{identifier}: there is no state {state}")
        for one in ordered:
            if not one.type.endswith(_STEPS) and not one.type.endswith(f".{one.data['state']}.v1"):
                yield Finding("impossible-state", f"{one.event_id} is a {one.type} in {one.data['state']}")
        # A step's event says the state that the reset is in: it repeats it. A state's own event enters it.
        entered = [one.data["state"] for one in ordered if not one.type.endswith(_STEPS)]
        if wrong := state_order.impossible(entered):
            yield Finding("impossible-state", f"{identifier}: {wrong[1]} after {wrong[0] or 'nothing'}")
        inside = [state for state, _ in groupby(one.data["state"] for one in ordered)]
        if inside != [state for state, _ in groupby(entered)]:
            yield Finding(
                "impossible-state", f"{identifier}: steps were told in a state that was not entered"
            )
        reset = evidence.resets.get(identifier)
        if reset is not None and ordered and ordered[-1].data["state"] != reset["state"]:
            yield Finding(
                "impossible-state", f"{identifier} is {reset['state']}, told {ordered[-1].data['state']}"
            )


def changed_events(evidence: Evidence) -> Iterator[Finding]:
    """An event that comes again comes as it was; two events never have one place in a reset's history."""
    values: dict[str, bytes] = {}
    places: dict[tuple[str, int], str] = {}
    for one in evidence.told:
        if values.setdefault(one.event_id, one.value) != one.value:
            yield Finding("changed-event", f"{one.event_id} came with another content")
        place = (one.data["resetId"], one.data["sequence"])
        if places.setdefault(place, one.event_id) != one.event_id:
            yield Finding("changed-event", f"{places[place]} and {one.event_id} are both number {place[1]}")
