"""A chain of lines: whole as it was written, and broken by whatever else is done to it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from statemachines.history.chain import BEGINNING, Line, first_break, link

CONTENTS = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5)), min_size=1)


def written(contents: list[dict[str, int | str]]) -> list[Line]:
    lines, before = [], BEGINNING
    for number, content in enumerate(contents, 1):
        before = link(before, content)
        lines.append(Line(number, content, before))
    return lines


@given(CONTENTS)
def test_a_chain_is_whole_as_it_was_written(contents: list[dict[str, int | str]]) -> None:
    lines = written(contents)
    assert first_break(lines, length=len(lines), last=lines[-1].hash) is None


@given(CONTENTS, st.data())
def test_the_first_changed_line_is_named(contents: list[dict[str, int | str]], data: st.DataObject) -> None:
    lines = written(contents)
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = replace(lines[at], content={**lines[at].content, "forged": True})
    flaw = first_break(lines, length=len(lines))
    assert flaw is not None
    assert flaw.number == at + 1


@given(CONTENTS, st.data())
def test_a_line_whose_hash_was_made_anew_breaks_at_the_next_one_or_at_the_known_end(
    contents: list[dict[str, int | str]], data: st.DataObject
) -> None:
    lines = written(contents)
    end = lines[-1].hash
    at = data.draw(st.integers(0, len(lines) - 1))
    before = lines[at - 1].hash if at else BEGINNING
    content = {**lines[at].content, "forged": True}
    lines[at] = Line(at + 1, content, link(before, content))
    flaw = first_break(lines, length=len(lines), last=end)
    assert flaw is not None
    assert flaw.number == min(at + 2, len(lines))


@given(CONTENTS, st.data())
def test_a_line_that_was_taken_out_is_missed(
    contents: list[dict[str, int | str]], data: st.DataObject
) -> None:
    lines = written(contents)
    at = data.draw(st.integers(0, len(lines) - 1))
    flaw = first_break(lines[:at] + lines[at + 1 :], length=len(lines))
    assert flaw is not None
    assert flaw.number == at + 1


@given(CONTENTS)
def test_a_line_that_was_put_in_is_seen(contents: list[dict[str, int | str]]) -> None:
    lines = written([*contents, {"forged": True}])
    assert first_break(lines, length=len(lines) - 1) is not None
