"""What a wipe teaches of its steps, what a later run of them is compared with, and what a person accepted as changed.

1. A reset that wiped a database, and is done, teaches which tables of it had rows after each step, beside those that
   kept rows from before its first seed: what a wipe says that it empties is a claim. Rows in the other ones show who
   wrote them.
2. With the same environment, step, options, integrations and image, a table that is learned, exists and is empty fails
   the step. One that does not exist any more is told.
3. The first time, and with another image, one table with rows is enough, and what differs is told.
4. A person may accept what failed (`accept`): the tables that were found empty are not expected any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from schemas.checks import PlannedCheck
from schemas.learned import Learned, LearnedKey, TableNames
from schemas.plan import Plan, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import Outcome, Reset, Step, StepState
from schemas.wire import StepName, Time
from statemachines.steps.accepts import ACCEPTS
from statemachines.steps.database_checks import Verdict, listed

KEPT_IMAGES = 5
"""Images of which something is kept for each step: a deployment that is taken back finds what it taught."""
MOST_TABLES = 2_000
"""Tables with rows that are learned of a step; of more nothing is learned."""

TABLES = "tables"
"""The fact of an outcome: a learned check's name -> `filled`, the tables with rows, and `empty`, what failed it."""
KEPT = "kept"
"""Beside `filled`, in a reset that wiped the database: the tables whose rows are older than its seeds. Where nobody
looked before the first of them it is missing, and nothing is learned."""
UNMET = "unmet"
"""The fact of an outcome that a learned check failed: the names of all checks that are not met."""


@dataclass(frozen=True)
class Taken:
    """What is stored because of a reset that is done, or of an accepted change."""

    learned: tuple[Learned, ...] = ()
    forgotten: tuple[LearnedKey, ...] = ()
    """Keys of older images, of which nothing is kept any more."""


NOTHING_TAKEN = Taken()


def key_of(plan: Plan, step: PlannedStep, check: PlannedCheck) -> LearnedKey:
    """The key of a step's learned check in this plan."""
    return LearnedKey(
        environment=plan.environment,
        step=step.name,
        check=check.name,
        options=tuple(sorted(set(plan.options))),
        integrations=tuple(sorted(set(plan.integrations))),
        image=plan.images[step.service] if step.service is not None else "",
    )


def first_seed_kept(
    plan: Plan, steps: Mapping[StepName, Step], step: PlannedStep, check: PlannedCheck
) -> Sequence[str] | None:
    """The tables that kept rows from before the first seed of this check's database, as an earlier step found them."""
    for planned in plan.steps:
        if planned.name == step.name:
            return None
        for one in planned.checks:
            if one.learned is not None and one.resource == check.resource:
                outcome = steps[planned.name].outcome
                kept = outcome.facts.get(TABLES, {}).get(one.name, {}).get(KEPT) if outcome else None
                if kept is not None:
                    return tuple(kept)
    return None


def kept_tables(
    before: Mapping[str, int], numbers: Mapping[str, int], found: Mapping[str, bool]
) -> tuple[str, ...]:
    """The tables whose rows may be older than the step: with rows before it and now, and not made anew meanwhile.

    `before`: each table with rows right before the launch -> its number; `numbers`: each table now.
    """
    return tuple(
        sorted(table for table, number in before.items() if found.get(table) and numbers.get(table) == number)
    )


def judge_learned(
    check: PlannedCheck,
    key: LearnedKey,
    known: Sequence[Learned],
    found: Mapping[str, bool],
    kept: Sequence[str] | None = None,
) -> Verdict:
    """Compare the tables that have rows with what was learned.

    `found`: `SCHEMA.TABLE` -> whether it has a row. `kept`: those of which nothing is learned; None: nobody looked.
    """
    verdict = _compared(check, key, known, found, kept or ())
    if kept is None or verdict.tables is None:
        return verdict
    return replace(verdict, tables={**verdict.tables, KEPT: list(kept)})


def _compared(
    check: PlannedCheck,
    key: LearnedKey,
    known: Sequence[Learned],
    found: Mapping[str, bool],
    kept: Sequence[str],
) -> Verdict:
    filled = sorted(table for table, has_rows in found.items() if has_rows)
    shown = set(filled) - set(kept)
    beside = f" beside those that were there before its seeds ({listed(kept)})" if kept else ""
    same = next((one for one in known if one.key == key), None)
    if same is None and not shown:
        return _failed(
            check,
            filled,
            (),
            f"{check.database}: expected rows in a table beside the ledger, found none{beside}",
        )
    if same is not None:
        empty = tuple(table for table in same.tables if found.get(table) is False)
        if same.tables and not shown and not empty:
            detail = f"expected rows in {listed(same.tables)}, found no table with rows{beside}"
            return _failed(check, filled, (), f"{check.database}: {detail}")
        if empty:
            detail = (
                f"expected rows in each of {len(same.tables)} tables, as after this step in reset {same.reset_id}, "
                f"found {listed(empty)} empty"
            )
            return _failed(check, filled, empty, f"{check.database}: {detail}")
    return Verdict(
        told=_differs(check, same, _last_of_another_image(key, known), found),
        tables=_tables(filled, ()),
        shows=bool(shown),
    )


def acceptable(step: Step) -> tuple[str, ...]:
    """List the learned checks by which alone the step failed. Whatever else failed, nobody accepts by a word."""
    outcome = step.outcome
    if step.state is not StepState.FAILED or outcome is None or outcome.cause is not Reason.TABLES_EMPTY:
        return ()
    tables: Mapping[str, Any] = outcome.facts.get(TABLES, {})
    unmet: Sequence[str] = outcome.facts.get(UNMET, ())
    return tuple(unmet) if all(name in tables for name in unmet) else ()


def without(outcome: Outcome, check: str) -> Outcome:
    """The failed outcome once a person accepted one of its checks; `facts[UNMET]` says what is left."""
    tables = dict(outcome.facts[TABLES])
    accepted = {**outcome.facts.get("accepted", {}), check: tables[check]["empty"]}
    tables[check] = {**tables[check], "empty": []}
    unmet = [name for name in outcome.facts[UNMET] if name != check]
    prefix = f"{check.partition('.')[2]}: "
    left = [line for line in (outcome.detail or "").split("\n") if not line.startswith(prefix)]
    waiting = {name: kept for name, kept in outcome.facts.get(ACCEPTS, {}).items() if name != check}
    facts = {**outcome.facts, TABLES: tables, UNMET: unmet, "accepted": accepted, ACCEPTS: waiting}
    return outcome.model_copy(update={"facts": facts, "detail": "\n".join(left)})


def accepted_change(
    plan: Plan, step: Step, check: str, known: Sequence[Learned], reset: Reset, *, at: Time
) -> Taken:
    """What a person's acceptance of a failed check changes: here, and for whatever else looks at the same database.

    Nothing is added: rows that are there beside a wipe's may be anybody's.
    """
    assert step.outcome is not None
    empty = set(step.outcome.facts[TABLES][check]["empty"])
    found = [(planned, one) for planned in plan.steps for one in planned.checks if one.learned is not None]
    mine = next(one for planned, one in found if (planned.name, one.name) == (step.name, check))
    stored = {one.key: one for one in known}
    changed: list[Learned] = []
    for planned, one in found:
        if one.resource != mine.resource:
            continue
        key = key_of(plan, planned, one)
        before = stored[key].tables if key in stored else ()
        is_this = (planned.name, one.name) == (step.name, check)
        if is_this and not empty:
            before = ()  # no table at all had rows
        if is_this or (key in stored and empty & set(before)):
            tables = tuple(table for table in before if table not in empty)
            changed.append(Learned(key=key, tables=tables, reset_id=reset.id, at=at))
    return Taken(learned=tuple(changed))


def taken_at_done(
    plan: Plan, steps: Mapping[StepName, Step], known: Sequence[Learned], reset: Reset, *, at: Time
) -> Taken:
    """What a reset that is done teaches: of each database that it wiped, unless a person left out a step of it."""
    skipped = {
        key
        for planned in plan.steps
        if planned.kind is StepKind.COMMAND and steps[planned.name].state is StepState.SKIPPED
        for key in planned.touches
    }
    learned = tuple(
        Learned(key=key_of(plan, planned, check), tables=tables, reset_id=reset.id, at=at)
        for planned in plan.steps
        for check in planned.checks
        if check.learned is not None and check.learned.emptied and check.resource not in skipped
        if (tables := _seen(steps[planned.name], check)) is not None
    )
    return Taken(learned, tuple(_too_old(learned, known)))


def _seen(step: Step, check: PlannedCheck) -> TableNames | None:
    if step.state is not StepState.SUCCEEDED or step.outcome is None:
        return None
    tables = step.outcome.facts.get(TABLES, {}).get(check.name, {})
    filled, kept = tables.get("filled"), tables.get(KEPT)
    if filled is None or kept is None:
        return None
    return tuple(table for table in filled if table not in kept)


def _too_old(learned: Iterable[Learned], known: Sequence[Learned]) -> Iterable[LearnedKey]:
    for new in learned:
        others = [
            one for one in known if one.key.image != new.key.image and _apart_from_image(one.key, new.key)
        ]
        others.sort(key=lambda one: one.at, reverse=True)
        yield from (one.key for one in others[KEPT_IMAGES - 1 :])


def _apart_from_image(one: LearnedKey, other: LearnedKey) -> bool:
    return one.model_copy(update={"image": other.image}) == other


def _last_of_another_image(key: LearnedKey, known: Sequence[Learned]) -> Learned | None:
    others = [one for one in known if one.key != key and _apart_from_image(one.key, key)]
    return max(others, key=lambda one: one.at, default=None)


def _differs(
    check: PlannedCheck, same: Learned | None, other: Learned | None, found: Mapping[str, bool]
) -> str | None:
    """What is told although the check is met."""
    if same is not None:
        gone = [table for table in same.tables if table not in found]
        return f"{check.database} has no table {listed(gone)} any more" if gone else None
    if other is None:
        return f"{check.database}: nothing is learned of this step yet: which tables it has to fill can't be told"
    missing = [table for table in other.tables if not found.get(table)]
    if not missing:
        return None
    return f"{check.database}: with the image before, {listed(missing)} had rows; with this one not"


def _failed(check: PlannedCheck, filled: Sequence[str], empty: Sequence[str], detail: str) -> Verdict:
    hint = f"`resetd accept ID {check.name} --reason WHY`"
    return Verdict(Reason.TABLES_EMPTY, f"{detail} ({check.name})", tables=_tables(filled, empty), hint=hint)


def _tables(filled: Sequence[str], empty: Sequence[str]) -> Mapping[str, Any]:
    kept = list(filled) if len(filled) <= MOST_TABLES else None
    return {"filled": kept, "empty": list(empty)}
