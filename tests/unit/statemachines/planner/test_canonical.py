from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Channel, Outcome, OutcomeKind, Reset, ResetState
from schemas.wire import ResetId
from statemachines.canonical_json import canonical, digest
from statemachines.history.audit import content, request_entry
from statemachines.history.status import next_status
from tests.unit.statemachines.planner.world import CATALOG, SERVICES, Mode, Option, answer, facts, request

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


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_can_not_say_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical({"timeout": number})
    with pytest.raises(rfc8785.FloatDomainError):
        rfc8785.dumps({"timeout": number})


in_the_domain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(0.0001, 2**53)
    | st.floats(-(2**53), -0.0001)
    | st.integers(-(2**53), 2**53).map(float)
    | st.sampled_from([0.0, -0.0, 600.0, 0.0001, 0.001, 1e6])
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["1.0", "1e+16", "Zürich", "\U0001f600", "\x7f", "\u2028"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner),
    max_leaves=20,
)


@given(in_the_domain)
def test_within_its_domain_it_is_what_another_implementation_of_rfc_8785_writes(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("environment", ["qa-sandbox", "los-demo-production"])
@pytest.mark.parametrize("services", [None, *((name,) for name in SERVICES)])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_plan_is_hashed_as_another_implementation_of_rfc_8785_writes_it(
    mode: Mode, services: tuple[str, ...] | None, environment: str
) -> None:
    options = [[], *([option] for option in Option)]
    made = [
        answer(
            request(environment, mode=mode, services=services, options=chosen, integrations=named),
            facts(environment),
        )
        for chosen, named in product(options, ([], ["plaid"]))
    ]
    plans = [plan for plan in made if isinstance(plan, Plan)]
    assert plans
    for plan in plans:
        hashed = plan.model_dump(mode="json", by_alias=True, exclude={"warnings", "hash"})
        assert canonical(hashed) == rfc8785.dumps(hashed)


def test_a_catalog_is_hashed_as_another_implementation_of_rfc_8785_writes_it() -> None:
    hashed = CATALOG.model_dump(mode="json", by_alias=True)
    assert canonical(hashed) == rfc8785.dumps(hashed)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 2**31 - 1))
def test_lines_of_history_and_audit_are_hashed_as_another_implementation_of_rfc_8785_writes_them(
    words: str, sequence: int
) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    reset = Reset(
        id=ResetId("01890000-0000-7000-8000-000000000001"),
        number=sequence,
        environment="qa-sandbox",
        request=request(),
        channel=Channel.KAFKA,
        requested_by=("ana", words),
        state=ResetState.FAILED,
        detail=words,
        sequence=sequence,
        created_at=now,
        updated_at=now,
    )
    outcome = Outcome(kind=OutcomeKind.FAILED, exit_code=1, cause=Reason.COMMAND_FAILED, detail=words)
    _, entry = next_status(reset, at=now, outcome=outcome)
    line = entry.model_dump(mode="json", by_alias=True)
    assert canonical(line) == rfc8785.dumps(line)
    audited = content(request_entry(reset, at=now, joined_by=words or None))
    assert canonical(audited) == rfc8785.dumps(audited)
