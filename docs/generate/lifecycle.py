"""The life cycle of a reset as pictures and tables: `docs/reference/lifecycle.md`.

Transitions, phases and kept locks come from `statemachines.lifecycle`. The meaning of a trigger is the comment beside
it. A trigger without a comment or without a picture is an error.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill

from docs.generate.incomplete import Incomplete
from docs.generate.tested import table
from schemas.resets import ResetState
from statemachines.lifecycle import (
    AT_REST,
    KEEP_LOCKS,
    PHASE_OF,
    TERMINAL,
    WAITING,
    WORKING,
    Trigger,
    advance,
    allows,
)

ROOT = Path(__file__).resolve().parents[2]
PATH = "docs/reference/lifecycle.md"

GROUPS: dict[str, tuple[ResetState, ...]] = {
    "under way": tuple(state for state in ResetState if state in WAITING or state in WORKING),
    "at work": WORKING,
    "stopped": tuple(state for state in ResetState if state in AT_REST and state not in TERMINAL),
}
"""Name in a picture -> the states that it stands for, where a trigger leads out of all of them to the same state."""

PICTURES: dict[str, tuple[Trigger, ...]] = {
    "The way of a reset": (
        Trigger.PLANNED,
        Trigger.DRY_RUN,
        Trigger.REJECT,
        Trigger.NEEDS_APPROVAL,
        Trigger.APPROVED,
        Trigger.DENY,
        Trigger.EXPIRED,
        Trigger.REPLANNED,
        Trigger.LOCKED,
        Trigger.NEXT,
    ),
    "How people hold a reset back": (
        Trigger.HELD_BACK,
        Trigger.PAUSE,
        Trigger.GO_ON,
    ),
    "How a reset stops": (
        Trigger.FAIL,
        Trigger.LOSE,
        Trigger.RESTORED,
        Trigger.CANCEL,
        Trigger.CANCELLED,
    ),
    "How a stopped reset goes on": (
        Trigger.RESUME,
        Trigger.REPLAN,
        Trigger.ROLL_BACK,
        Trigger.ROLLED_BACK,
    ),
}
"""Heading -> the triggers that its picture shows."""

_HEADING = """\
# The life cycle of a reset

Generated from `statemachines/lifecycle.py` by `make docs`. A reset starts in `planning`. Only the holder of its lease
moves it, and each move is one commit.
"""
_START = {"The way of a reset": "    [*] --> planning\n"}


def documents() -> dict[str, str]:
    """Path in the repository -> text.

    Raises:
        Incomplete: a trigger has no meaning or no picture.
    """
    missing = [trigger for trigger in Trigger if not any(trigger in shown for shown in PICTURES.values())]
    if missing:
        raise Incomplete(PATH, [f"{trigger.value} is in no picture" for trigger in missing])
    parts = [_HEADING]
    parts += [_picture(heading, triggers) for heading, triggers in PICTURES.items()]
    parts += [_states(), _triggers(), _transitions()]
    return {PATH: "\n".join(parts)}


def meanings(source: str | None = None, triggers: Iterable[Trigger] = Trigger) -> dict[Trigger, str]:
    """The comment beside each trigger in the source of its enum, as a sentence.

    Raises:
        Incomplete: a trigger has none.
    """
    comments = dict(
        re.findall(r'^    \w+ = "([\w-]+)"  # (.+)$', source or inspect.getsource(Trigger), re.MULTILINE)
    )
    missing = [trigger for trigger in triggers if trigger.value not in comments]
    if missing:
        raise Incomplete(PATH, [f"{trigger.value} has no comment" for trigger in missing])
    return {trigger: _sentence(comments[trigger.value]) for trigger in triggers}


def _sentence(comment: str) -> str:
    return f"{comment[0].upper()}{comment[1:].rstrip('.')}."


def _edges(trigger: Trigger) -> Iterator[tuple[str, ResetState]]:
    """Where the trigger leads from, by state or group, and where to."""
    leads = {state: advance(state, trigger) for state in ResetState if allows(state, trigger)}
    for after in dict.fromkeys(leads.values()):
        left = [state for state in leads if leads[state] is after]
        for name, members in GROUPS.items():
            if set(members) <= set(left):
                yield name, after
                left = [state for state in left if state not in members]
        for state in left:
            yield state.value, after


def _picture(heading: str, triggers: Iterable[Trigger]) -> str:
    labels: dict[tuple[str, ResetState], list[str]] = {}
    for trigger in triggers:
        for edge in _edges(trigger):
            labels.setdefault(edge, []).append(trigger.value)
    names = dict.fromkeys(name for before, after in labels for name in (before, after.value))
    text = f"## {heading}\n\n```mermaid\nstateDiagram-v2\n"
    text += "".join(f'    state "{name}" as {_identifier(name)}\n' for name in names if not name.isalpha())
    text += _START.get(heading, "")
    for (before, after), shown in labels.items():
        text += f"    {_identifier(before)} --> {_identifier(after.value)}: {', '.join(shown)}\n"
    text += "".join(
        f"    {_identifier(name)} --> [*]\n" for name in names if name in {state.value for state in TERMINAL}
    )
    text += "```\n"
    for name in names:
        if name in GROUPS:
            text += "\n" + fill(f"`{name}` stands for {_listed(GROUPS[name])}.", 120) + "\n"
    return text


def _identifier(name: str) -> str:
    """The name as Mermaid takes it: neither a hyphen nor a space."""
    return re.sub(r"\W", "_", name)


def _listed(states: Iterable[ResetState]) -> str:
    *names, last = (f"`{state.value}`" for state in states)
    return f"{', '.join(names)} and {last}"


def _states() -> str:
    rows = [
        (f"`{state.value}`", _kind(state), "kept" if state in KEEP_LOCKS else "released")
        for state in ResetState
    ]
    return "## States\n" + table(("state", "what the daemon does in it", "locks"), rows)


def _kind(state: ResetState) -> str:
    if state in PHASE_OF:
        return f"Runs the steps of the phase `{PHASE_OF[state].value}`. Without a step it is passed through."
    if state in WAITING:
        return "Prepares the reset. No step runs."
    if state in TERMINAL:
        return "Nothing: the reset is over."
    if state in AT_REST:
        return "Nothing, until somebody asks for more. A reset that was cancelled before it destroyed anything is over."
    if allows(state, Trigger.ROLLED_BACK):
        return "Reserved for rollbacks. Nobody can ask for one yet."
    return "Ends every process of the reset."


def _triggers() -> str:
    rows = [(f"`{trigger.value}`", meaning) for trigger, meaning in meanings().items()]
    return "## Triggers\n" + table(("trigger", "meaning"), rows)


def _transitions() -> str:
    rows = [
        (f"`{state.value}`", f"`{trigger.value}`", f"`{advance(state, trigger).value}`")
        for state in ResetState
        for trigger in Trigger
        if allows(state, trigger)
    ]
    return "## Every transition\n" + table(("state", "trigger", "next state"), rows)
