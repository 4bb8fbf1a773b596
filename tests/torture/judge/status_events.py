"""Rules about status events: no gap, the right order, no impossible state, and one event for one event id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

from tests.torture.judge import state_order
from tests.torture.judge.evidence import Evidence, Told
from tests.torture.judge.finding import Finding

_STEPS = ("step-started.v1", "step-finished.v1")


def _by_reset(evidence: Evidence) -> dict[str, list[Told]]:
    """The events of each reset, each event once, in the order in which they first came."""
    seen: set[str] = set()
    found: dict[str, list[Told]] = defaultdict(list)
    for event in evidence.told:
        if event.event_id not in seen:
            seen.add(event.event_id)
            found[event.data["resetId"]].append(event)
    return found


def gaps(evidence: Evidence) -> Iterator[Finding]:
    """Find resets whose events are not numbered 1, 2, 3, ... up to the reset's own sequence, in that order."""
    told = _by_reset(evidence)
    for identifier, reset in evidence.resets.items():
        sequences = [event.data["sequence"] for event in told.get(identifier, [])]
        if sorted(sequences) != list(range(1, reset["sequence"] + 1)):
            missing = sorted(set(range(1, reset["sequence"] + 1)) - set(sequences))
            yield Finding(
                "gap", f"{identifier} is at {reset['sequence']}: told {sequences}, missing {missing}"
            )
        elif sequences != sorted(sequences):
            yield Finding("order", f"{identifier}: told in the order {sequences}")
    by_environment: dict[str, list[int]] = defaultdict(list)
    for events in told.values():
        for event in events:
            by_environment[event.data["environment"]].append(event.data["environmentSequence"])
    for environment, numbers in by_environment.items():
        if len(set(numbers)) != len(numbers):
            yield Finding("order", f"{environment}: an environmentSequence was given twice")


def impossible_states(evidence: Evidence) -> Iterator[Finding]:
    """Find states that can't follow the state before, and a last state that is not the one that the reset is in."""
    for identifier, events in _by_reset(evidence).items():
        ordered = sorted(events, key=lambda event: event.data["sequence"])
        states = {event.data["state"] for event in ordered}
        for state in sorted(state for state in states if not state_order.is_known(state)):
            yield Finding("impossible-state", f"{identifier}: there is no state {state}")
        for event in ordered:
            state = event.data["state"]
            if not event.type.endswith(_STEPS) and not event.type.endswith(f".{state}.v1"):
                yield Finding("impossible-state", f"{event.event_id} is a {event.type} in {state}")
        # A state's own event enters the state; the event of a step repeats the state that the reset is in.
        entered = [event.data["state"] for event in ordered if not event.type.endswith(_STEPS)]
        if wrong := state_order.impossible(entered):
            yield Finding("impossible-state", f"{identifier}: {wrong[1]} after {wrong[0] or 'nothing'}")
        inside = [state for state, _ in groupby(event.data["state"] for event in ordered)]
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
    """Find events that came again with another content, and places in a history that two events have."""
    values: dict[str, bytes] = {}
    places: dict[tuple[str, int], str] = {}
    for event in evidence.told:
        if values.setdefault(event.event_id, event.value) != event.value:
            yield Finding("changed-event", f"{event.event_id} came with another content")
        place = (event.data["resetId"], event.data["sequence"])
        if places.setdefault(place, event.event_id) != event.event_id:
            yield Finding("changed-event", f"{places[place]} and {event.event_id} are both number {place[1]}")
