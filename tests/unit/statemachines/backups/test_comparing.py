"""What a manifest promises, compared with what is found: nothing poorer passes, and what is alike does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.backups import Contents, Expression, LargeObjects, Schema, SequenceRange, SequenceState
from statemachines.backups.comparing import Extent, differences, unlike_expressions, with_texts

NAMES = st.text("abc.", min_size=1, max_size=4)
STATES = st.builds(SequenceState, st.integers(-100, 100), st.booleans())
EXPRESSIONS = st.builds(Expression, over=st.just("ONLY t"), text=NAMES)
CONTENTS = st.builds(
    Contents,
    rows=st.dictionaries(NAMES, st.integers(0, 9), max_size=4),
    sequences=st.dictionaries(NAMES, STATES.map(lambda at: SequenceRange(before=at, after=at)), max_size=3),
    large_objects=st.builds(LargeObjects, count=st.integers(0, 3), digest=NAMES),
    definitions=st.builds(
        Schema,
        objects=st.dictionaries(NAMES, NAMES, max_size=4),
        expressions=st.dictionaries(NAMES, EXPRESSIONS, max_size=3),
    ),
    extensions=st.dictionaries(NAMES, NAMES, max_size=2),
    settings=st.dictionaries(NAMES, NAMES, max_size=2),
)


@given(CONTENTS, st.sampled_from(Extent))
def test_what_is_alike_differs_in_nothing(contents: Contents, extent: Extent) -> None:
    assert differences(contents, contents, extent) == ()


@given(CONTENTS, CONTENTS)
def test_a_difference_is_one_whichever_side_is_the_manifest(one: Contents, other: Contents) -> None:
    there, back = differences(one, other), differences(other, one)
    assert {each.subject for each in there} == {each.subject for each in back}


@given(CONTENTS, st.data())
def test_one_row_less_in_any_table_is_named(contents: Contents, data: st.DataObject) -> None:
    full = contents.model_copy(update={"rows": {**contents.rows, "t": 5}})
    table = data.draw(st.sampled_from(sorted(full.rows)))
    poorer = full.model_copy(update={"rows": {**full.rows, table: full.rows[table] - 1}})
    assert [each.subject for each in differences(full, poorer)] == [f"rows of {table}"]
    gone = full.model_copy(update={"rows": {name: rows for name, rows in full.rows.items() if name != table}})
    assert [each.subject for each in differences(full, gone)] == [f"rows of {table}"]


@given(STATES, STATES, STATES)
def test_a_sequence_may_stand_between_before_and_after_and_nowhere_else(
    one: SequenceState, other: SequenceState, found: SequenceState
) -> None:
    promised = Contents(sequences={"s": SequenceRange(before=one, after=other)})
    restored = Contents(sequences={"s": SequenceRange(before=found, after=found)})
    alike = min(one, other) <= found <= max(one, other)
    assert (differences(promised, restored) == ()) is alike


@given(CONTENTS, CONTENTS)
def test_expressions_are_alike_once_both_were_read_again_as_the_same(one: Contents, other: Contents) -> None:
    names = unlike_expressions(one, other)
    same = dict.fromkeys(names, "the same")
    left = differences(with_texts(one, same), with_texts(other, same))
    assert not {f"expression of {name}" for name in names} & {each.subject for each in left}


def test_versions_settings_and_rights_belong_to_the_database_and_not_to_its_dump() -> None:
    one = Contents(
        extensions={"citext": "1.5"}, settings={"work_mem": "1MB"}, grants=("OWNER=a",), roles=("a",)
    )
    other = Contents(
        extensions={"citext": "1.6"}, settings={"work_mem": "2MB"}, grants=("OWNER=b",), roles=("b",)
    )
    assert differences(one, other) == ()
    found = differences(one, other, Extent.DATABASE)
    assert [each.subject for each in found] == [
        "extension citext", "role a", "role b", "setting work_mem", "grant OWNER=a", "grant OWNER=b",
    ]  # fmt: skip
    assert "1MB" not in str(found)
