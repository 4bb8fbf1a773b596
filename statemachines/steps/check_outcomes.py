"""The outcome of a step by its checks: what failed, what could not be asked, and what was told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from schemas.checks import PlannedCheck
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind
from statemachines.steps.database_checks import Verdict
from statemachines.steps.learned import TABLES, UNMET

_TOLD = "told"
"""The fact of an outcome: what its checks say although they are met."""
SHOWN_BY = "shownBy"
"""The fact of an outcome: the check, or the sign, by which a command was shown to have left something."""

MET_BEFORE = "metBefore"
"""The key in an attempt's baseline: the names of the checks that found rows before the launch."""

_HINTS = {
    Reason.CHECK_NOT_MET: (
        "Read its output (`resetd logs ID STEP`): a tool may print an error and exit 0. Mend the cause, then "
        "`resetd resume ID`."
    ),
    Reason.TABLES_EMPTY: (
        "Read its output (`resetd logs ID STEP`), mend the cause, then `resetd resume ID`. Where the tables are empty "
        "on purpose:"
    ),
    Reason.MIGRATIONS_PENDING: "Ask for mode refresh, which applies them. `resetd doctor ENV` says more.",
    Reason.MIGRATIONS_NOT_SHOWN: (
        "Deploy an image that has its migrations where the catalog says, or correct `migrations` in the catalog. Where "
        "an image can't list them (a bundle), leave `migrations` out and give the tool's own command in `verify`."
    ),
}


def hint_of(cause: Reason) -> str | None:
    """The next step where a check failed for that cause."""
    return _HINTS.get(cause)


def judged(
    verdicts: Sequence[Verdict], outcome: Outcome, baseline: Mapping[str, Any] | None = None
) -> Outcome:
    """The outcome of a step by its checks; `outcome` is the one that it has where all of them are met.

    `baseline` is what was recorded before the launch.
    """
    if any(verdict.reason is not None for verdict in verdicts):
        return _not_met(verdicts, outcome)
    return _met(verdicts, outcome, (baseline or {}).get(MET_BEFORE, ()))


def _not_met(verdicts: Sequence[Verdict], outcome: Outcome) -> Outcome:
    """The outcome where some of these checks failed.

    What only a learned check failed a person may accept, so another cause comes first.
    """
    failed = [verdict for verdict in verdicts if verdict.reason is not None]
    reasons = [verdict.reason for verdict in failed if verdict.reason is not None]
    others = [reason for reason in reasons if reason is not Reason.TABLES_EMPTY]
    cause = Reason.MIGRATIONS_NOT_SHOWN if Reason.MIGRATIONS_NOT_SHOWN in reasons else (others or reasons)[0]
    hint = hint_of(cause)
    if not others:
        hint = " ".join(filter(None, (hint, *(verdict.hint for verdict in failed))))
    facts = _with_tables(outcome.facts, verdicts)
    if Reason.TABLES_EMPTY in reasons:
        facts[UNMET] = [verdict.check for verdict in failed]
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=outcome.exit_code,
        cause=cause,
        detail="\n".join(verdict.detail for verdict in failed),
        hint=hint,
        facts=facts,
    )


def no_answer(
    outcome: Outcome, reason: Reason, detail: str, *, hint: str | None = None, temporary: bool = False
) -> Outcome:
    """The outcome of a command that ended well, where its checks could not be asked: nobody can tell."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=outcome.exit_code,
        cause=reason,
        detail=f"can't tell: its checks could not be asked: {detail}",
        hint=hint
        or "The command ended with exit code 0; what it left could not be looked at. Then `resetd resume ID`.",
        temporary=temporary,
        facts=outcome.facts,
    )


def _met(verdicts: Sequence[Verdict], outcome: Outcome, before: Collection[str]) -> Outcome:
    """The outcome where all checks are met, with what they told and what a wipe teaches."""
    facts = _with_tables(outcome.facts, verdicts)
    told = [verdict.told for verdict in verdicts if verdict.told is not None]
    if told:
        facts[_TOLD] = told
    shown_by = next(
        (verdict.check for verdict in verdicts if verdict.shows and verdict.check not in before), None
    )
    if shown_by is not None:
        facts[SHOWN_BY] = shown_by
    return outcome.model_copy(update={"facts": facts})


def _with_tables(facts: Mapping[str, Any], verdicts: Iterable[Verdict]) -> dict[str, Any]:
    tables = {verdict.check: dict(verdict.tables) for verdict in verdicts if verdict.tables is not None}
    return {**facts, TABLES: tables} if tables else dict(facts)


def is_measured_before(step: PlannedStep) -> bool:
    """Whether a check of the step compares with what was there before it."""
    return any(check.unchanged is not None or _is_of_wipe(check) for check in step.checks)


def known_before(
    step: PlannedStep, former: Sequence[Attempt]
) -> tuple[dict[str, Any], Sequence[PlannedCheck]]:
    """What is known of the time before the step, by check, and the checks for which it has to be measured.

    Of a learned check in a wipe only what was there before the first launch counts, whatever happened since.
    """
    unchanged = [check for check in step.checks if check.unchanged is not None]
    learned = [check for check in step.checks if _is_of_wipe(check)]
    measured = earliest_baseline(former)
    known = {
        name: value for name, value in (measured or {}).items() if name in {one.name for one in unchanged}
    }
    again = unchanged if measured is None else []
    launched = [one for one in former if one.control is not None]
    if not launched:
        return known, [*again, *learned]
    first = launched[0].baseline or {}
    return known | {one.name: first[one.name] for one in learned if one.name in first}, again


def _is_of_wipe(check: PlannedCheck) -> bool:
    return check.learned is not None and check.learned.emptied


def earliest_baseline(attempts: Iterable[Attempt]) -> dict[str, Any] | None:
    """The baseline that stands for a step's next attempt: the first that was recorded.

    A later one may have been measured on what an attempt before it changed. Once a person was told that a check is not
    met, and asks for the step again, the present contents are what counts.
    """
    known: dict[str, Any] | None = None
    for attempt in attempts:
        known = known or attempt.baseline
        if attempt.outcome is not None and attempt.outcome.cause is Reason.CHECK_NOT_MET:
            known = None
    return known
