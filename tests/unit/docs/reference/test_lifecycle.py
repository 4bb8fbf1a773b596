"""The page of the life cycle shows the transitions of the code, all of them and no other."""

from __future__ import annotations

import re

import pytest

from docs.generate import lifecycle
from docs.generate.incomplete import Incomplete
from schemas.resets import ResetState
from statemachines.lifecycle import Trigger, advance, allows

Transition = tuple[str, str, str]

EVERY: set[Transition] = {
    (state.value, trigger.value, advance(state, trigger).value)
    for state in ResetState
    for trigger in Trigger
    if allows(state, trigger)
}


def drawn(page: str) -> set[Transition]:
    """Transitions of all pictures; a group stands for each of its states."""
    members = {name: [state.value for state in states] for name, states in lifecycle.GROUPS.items()}
    found: set[Transition] = set()
    for name, after, triggers in re.findall(r"^    (\w+) --> (\w+): (.+)$", page, re.MULTILINE):
        label = name.replace("_", " ")
        states = members.get(label, [name.replace("_", "-")])
        then = after.replace("_", "-")
        found |= {(state, trigger, then) for state in states for trigger in triggers.split(", ")}
    return found


def test_the_page_in_the_repository_is_what_the_code_says() -> None:
    for path, text in lifecycle.documents().items():
        assert (lifecycle.ROOT / path).read_text(encoding="utf-8") == text


def test_the_pictures_show_every_transition_and_no_other() -> None:
    page = lifecycle.documents()[lifecycle.PATH]
    assert drawn(page) == EVERY


def test_no_picture_has_more_edges_than_a_reader_can_follow() -> None:
    page = lifecycle.documents()[lifecycle.PATH]
    pictures = re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)
    assert len(pictures) == len(lifecycle.PICTURES)
    assert all(len(re.findall(r" --> \w+: ", picture)) <= 20 for picture in pictures)


def test_the_table_has_a_row_for_each_transition() -> None:
    page = lifecycle.documents()[lifecycle.PATH]
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \| `([\w-]+)` \|$", page, re.MULTILINE)
    assert len(rows) == len(EVERY)
    assert set(rows) == EVERY


@pytest.mark.parametrize("state", list(ResetState))
def test_every_state_is_described(state: ResetState) -> None:
    page = lifecycle.documents()[lifecycle.PATH]
    assert re.search(rf"^\| `{state.value}` \| \S.* \| (kept|released) \|$", page, re.MULTILINE)


def test_every_trigger_has_its_meaning_from_the_code() -> None:
    meanings = lifecycle.meanings()
    assert set(meanings) == set(Trigger)
    assert meanings[Trigger.DRY_RUN] == "A plan was all that was asked for."


def test_a_trigger_without_a_meaning_is_an_error() -> None:
    source = 'class Trigger(StrEnum):\n    PLANNED = "planned"  # a plan was made\n    DENY = "deny"\n'
    with pytest.raises(Incomplete, match="deny has no comment"):
        lifecycle.meanings(source, [Trigger.PLANNED, Trigger.DENY])
