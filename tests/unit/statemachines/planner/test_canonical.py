from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachines.canonical_json import canonical, digest

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None, "€"]}, '{"a":[true,null,"€"],"b":1}'),
        ({"timeout": 600.0, "short": 0.5}, '{"short":0.5,"timeout":600}'),
        ('\u0008\t\n\u000c\r\u000f"\\/', '"\\b\\t\\n\\f\\r\\u000f\\"\\\\/"'),
        ((), "[]"),
    ],
)
def test_it_is_written_as_rfc_8785_says(value: object, expected: str) -> None:
    assert canonical(value) == expected.encode()


@given(values)
def test_it_is_json_and_says_the_same(value: object) -> None:
    assert json.loads(canonical(value)) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(st.text(), values))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


numbers = st.recursive(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53).map(float)
    | st.sampled_from([0.0, -0.0, 1e15, 1e16, 1.5e16, -1e300, 600.0])
    | st.sampled_from(["1.0", "1e+16", "e+", ".0", ""])
    | st.integers(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


def whole(value: object) -> object:
    """Each whole floating number as the integer that it is."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@given(numbers)
def test_whole_numbers_are_written_without_a_fraction_wherever_they_are(value: object) -> None:
    plain = json.dumps(whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == plain.encode()


def test_what_json_can_not_say_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical(float("nan"))
