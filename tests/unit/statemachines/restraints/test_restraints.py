"""What freezes stop and what holds keep away, whatever they are and whoever asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.freezes import Freeze
from schemas.holds import Hold
from schemas.plan import Phase, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind
from schemas.wire import AttemptId, ResetId, ResourceKey, StepName
from statemachines.freezes import concerned, in_force, never_crossed, stopping
from statemachines.holds import Held, at_work, contradicts, followers, holding, keeps_away
from statemachines.steps.outcomes import never_started
from tests.unit.statemachines.acts.test_acts import FREE, PLAN, reset

NOW = datetime(2026, 12, 1, tzinfo=UTC)
NAMES = ("qa-sandbox", "los-sandbox", "qa-production")
KEYS = [ResourceKey(f"database/1/{name}") for name in "abcd"]
names = st.sampled_from(NAMES)
some_names = st.frozensets(names, min_size=1)
some_keys = st.frozensets(st.sampled_from(KEYS))
freezes = st.builds(
    lambda number, scope, hours: Freeze(
        id=f"f{number}",
        environment=scope,
        reason="why",
        given_by="olga",
        given_at=NOW,
        expires_at=NOW + timedelta(hours=hours),
    ),
    st.integers(0, 99),
    st.none() | names,
    st.integers(-5, 5),
)
holds = st.builds(
    lambda number, scope, keys, who: Hold(
        id=f"h{number}",
        environment=scope,
        keys=tuple(sorted(keys)),
        reason="why",
        holder=who,
        asked_at=NOW,
        expires_at=NOW + timedelta(hours=number + 1),
    ),
    st.integers(0, 99),
    names,
    some_keys,
    st.sampled_from(["olga", "pat"]),
)
locks = st.lists(
    st.builds(
        lambda number, key, environment: Held(key, ResetId(f"r{number}"), environment, number),
        st.integers(0, 9),
        st.sampled_from(KEYS),
        names,
    )
)


@given(st.lists(freezes), some_names)
def test_a_reset_is_stopped_where_any_freeze_is_about_what_it_concerns(
    every: list[Freeze], environments: frozenset[str]
) -> None:
    standing = in_force(every, NOW)
    found = stopping(standing, environments)
    about = [each for each in standing if each.environment is None or each.environment in environments]
    assert (found is None) is (about == [])
    if found is not None:
        assert found.expires_at == max(each.expires_at for each in about) > NOW


@given(st.lists(freezes), some_names, some_names)
def test_whoever_concerns_more_is_stopped_at_least_as_long(
    every: list[Freeze], environments: frozenset[str], more: frozenset[str]
) -> None:
    less, wide = stopping(every, environments), stopping(every, environments | more)
    assert less is None or (wide is not None and wide.expires_at >= less.expires_at)


def test_a_plan_concerns_whoever_uses_what_it_touches() -> None:
    assert concerned("qa-sandbox", None) == {"qa-sandbox"}
    users = {user for resource in PLAN.resources for user in resource.users}
    assert concerned(PLAN.environment, PLAN) == {PLAN.environment, *users}


def _attempt(step: str, number: int = 1, outcome: Outcome | None = None) -> Attempt:
    return Attempt(
        id=AttemptId(f"r/{step}/{number}"),
        reset_id=ResetId("r"),
        step=StepName(step),
        number=number,
        started_at=NOW,
        outcome=outcome,
    )


def test_only_attempts_that_are_known_to_be_harmless_leave_a_reset_before_its_first_destructive_step() -> (
    None
):
    steps = (
        PlannedStep(name=StepName("backup.a"), phase=Phase.BACKUP, kind=StepKind.BACKUP_DATABASE, batch=0),
        PlannedStep(
            name=StepName("seed.a"), phase=Phase.SEED, kind=StepKind.COMMAND, batch=1, destructive=True
        ),
    )
    plan = FREE.model_copy(update={"steps": steps})
    mine = _attempt("seed.a", 2)
    given_up = _attempt("seed.a", 1, never_started("frozen", Reason.FROZEN, temporary=False))
    assert never_crossed(plan, [_attempt("backup.a"), given_up, mine], mine.id)
    ran = Outcome(kind=OutcomeKind.FAILED, exit_code=1)
    for other in (_attempt("seed.a", 1, ran), _attempt("seed.a", 1), _attempt("seed.of-a-former-plan")):
        assert not never_crossed(plan, [other, mine], mine.id)


@given(st.lists(holds), some_names, some_keys)
def test_a_reset_is_kept_away_where_any_hold_has_its_environment_or_one_of_its_resources(
    every: list[Hold], environments: frozenset[str], keys: frozenset[ResourceKey]
) -> None:
    found = holding(every, environments, keys)
    away = [each for each in every if each.environment in environments or set(each.keys) & keys]
    assert (found is None) is (away == [])
    if found is not None:
        assert found.expires_at == max(each.expires_at for each in away)


@given(holds, holds)
def test_two_people_never_hold_the_same_and_one_may_hold_it_twice(one: Hold, two: Hold) -> None:
    shared = one.environment == two.environment or set(one.keys) & set(two.keys)
    assert (contradicts(one, [two]) is not None) is bool(shared and one.holder != two.holder)
    assert (contradicts(two, [one]) is not None) is (contradicts(one, [two]) is not None)


@given(holds, locks)
def test_a_hold_waits_for_exactly_those_who_have_what_it_takes(hold: Hold, granted: list[Held]) -> None:
    waits = at_work(hold, granted)
    for lock in granted:
        takes = lock.key in hold.keys or lock.environment == hold.environment
        assert not takes or lock.reset_id in waits
    rest = [lock for lock in granted if lock.reset_id not in waits]
    assert at_work(hold, rest) == ()
    assert not any(keeps_away(hold, (lock.environment,), (lock.key,)) for lock in rest)


@given(holds, st.lists(st.tuples(names, some_keys, st.none() | st.integers(1, 50)), max_size=6))
def test_those_who_start_at_its_end_are_told_in_the_order_in_which_they_asked(
    hold: Hold, waiting: list[tuple[str, frozenset[ResourceKey], int | None]]
) -> None:
    queued, asked = [], []
    for number, (environment, keys, ticket) in enumerate(waiting):
        reset_id = ResetId(f"r{number}")
        queued.append(
            reset().model_copy(
                update={"id": reset_id, "environment": environment, "ticket": ticket, "number": number}
            )
        )
        asked += [Held(key, reset_id, environment, ticket or 0) for key in keys]
    told = followers(hold, queued, asked)
    for (environment, keys, _), one in zip(waiting, queued, strict=True):
        kept = environment == hold.environment or bool(keys & set(hold.keys))
        assert (one.id in {each.reset_id for each in told}) is kept
    tickets = [next(one.ticket for one in queued if one.id == each.reset_id) for each in told]
    known = [ticket for ticket in tickets if ticket is not None]
    assert known == sorted(known)
    assert tickets[: len(known)] == known
