"""Whether a seed of which no check tells left a sign in its database: a session of its own, or rows that changed.

Exit code 0 of a command that nobody saw in the database is no answer, and a check that was met before the command ran
says nothing of it. So:

1. Right before the launch it is recorded who is connected and how many rows were ever written.
2. A session that began after that is a sign. A standing one, such as the running service's pool, is none.
3. More written rows are a sign. Rows that others write meanwhile count, too: a check of the catalog says more.
4. What can't be compared, because the server or its statistics began anew, is no sign.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from schemas.checks import Absent, PlannedCheck
from schemas.plan import Phase, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind
from schemas.wire import ResourceKey
from statemachines.steps.check_outcomes import SHOWN_BY
from statemachines.steps.database_checks import counts_ledger
from statemachines.steps.session_names import of_any_attempt, session_name

ACTIVITY = "activity"
"""The key in an attempt's baseline: database -> what `as_fact` returned, and `seen` once a session was seen."""
_SEEN = "seen"


@dataclass(frozen=True)
class Client:
    """A session in a database that is not the daemon's own."""

    pid: int
    """The backend's process on the server."""
    role: str
    application: str
    """Its `application_name`; may be empty."""
    hidden: bool
    """Whether the server hides from our role what kind of session it is: it may be a worker of another session."""


@dataclass(frozen=True)
class Written:
    """How many rows of a database's tables were written, for as long as the server counts."""

    since: str
    """Names the beginning of the count; another text means that the numbers can't be compared."""
    rows: int


def may_need_sign(step: PlannedStep) -> bool:
    """Whether the step may need a sign in the database to count as done.

    - A step that migrates promises a ledger in order, and nothing else.
    - A step that repeats ends with a repetition that finds nothing to do.
    """
    return (
        step.kind is StepKind.COMMAND
        and step.phase is Phase.SEED
        and step.repeat is None
        and not step.migrates
        and bool(databases_of(step))
    )


def needs_sign(step: PlannedStep, met_before: Collection[str]) -> bool:
    """Whether a step that may need a sign needs one, given the checks that found rows before its launch.

    Checks that are met by a command that does nothing tell nothing: a ledger in order, what has to stay unchanged, rows
    of a table that may be missing, and whatever was met before.
    """
    return all(check.name in met_before for check in step.checks if _asks_for_rows(check))


def is_watched(attempt: Attempt | None) -> bool:
    """Whether a sign of the attempt is looked for: it was recorded what there was before."""
    return attempt is not None and ACTIVITY in (attempt.baseline or {})


def finds_rows(check: PlannedCheck) -> bool:
    """Whether the check may find rows that the command left."""
    return check.rows is not None or check.learned is not None


def _asks_for_rows(check: PlannedCheck) -> bool:
    """Whether the check is met by nothing but rows beside the ledger, or by a person who said that there are none."""
    if check.learned is not None:
        return True
    return check.rows is not None and check.rows.absent is Absent.FAIL and not counts_ledger(check)


def is_shown(outcome: Outcome) -> bool:
    """Whether a check that was not met before found rows that the command may have left."""
    return SHOWN_BY in outcome.facts


def databases_of(step: PlannedStep) -> tuple[ResourceKey, ...]:
    """The databases that the step touches."""
    return tuple(key for key in step.touches if key.startswith("database/"))


def as_fact(incarnation: str, clients: Iterable[Client], written: Written) -> dict[str, Any]:
    """What was there before the launch, as it is recorded with the attempt."""
    return {
        "incarnation": incarnation,
        "clients": [list(astuple(client)) for client in clients],
        "since": written.since,
        "rows": written.rows,
    }


def before(attempt: Attempt, key: ResourceKey) -> Mapping[str, Any]:
    """What was recorded for one database before the launch; empty where nothing was."""
    found: Mapping[str, Any] = ((attempt.baseline or {}).get(ACTIVITY) or {}).get(key) or {}
    return found


def with_seen(attempt: Attempt, key: ResourceKey, who: str) -> Attempt:
    """The attempt, of which a session was seen in that database."""
    baseline = attempt.baseline or {}
    activity = {**(baseline.get(ACTIVITY) or {}), key: {**before(attempt, key), _SEEN: who}}
    return attempt.model_copy(update={"baseline": {**baseline, ACTIVITY: activity}})


def seen(attempt: Attempt, key: ResourceKey) -> str | None:
    """The session of the attempt that was seen in that database, for people; None: none was."""
    return before(attempt, key).get(_SEEN)


def session_since(
    attempt: Attempt,
    key: ResourceKey,
    incarnation: str,
    clients: Iterable[Client],
    standing: Collection[int] = (),
) -> str | None:
    """Find a session that began after the launch, for people; None: there is none that can be told.

    `standing` are further sessions that were there right before the launch, by their pid.
    """
    fact = before(attempt, key)
    comparable = fact.get("incarnation") == incarnation
    there = [Client(*one) for one in fact.get("clients", ())]
    pids = {client.pid for client in there} | set(standing)
    # A session of unknown kind may be a worker of a standing one, which has the same role and name.
    leaders = {(client.role, client.application) for client in there if client.hidden}
    for client in clients:
        if client.application == session_name(attempt.id):
            return f"a session of {client.role} that carries the attempt's name"
        if not comparable or client.pid in pids or of_any_attempt(client.application):
            continue
        if not (client.hidden and (client.role, client.application) in leaders):
            return f"a session of {client.role} that began after the launch (pid {client.pid})"
    return None


def rows_since(attempt: Attempt, key: ResourceKey, written: Written) -> str | None:
    """Tell that rows were written after the launch, for people; None: none were, or it can't be told."""
    fact = before(attempt, key)
    if fact.get("since") != written.since or written.rows <= fact["rows"]:
        return None
    return f"{written.rows - fact['rows']} written rows"


def shown(outcome: Outcome, sign: str) -> Outcome:
    """The outcome of a command that left a sign."""
    return outcome.model_copy(update={"facts": {**outcome.facts, SHOWN_BY: sign}})


def without_sign(step: PlannedStep, outcome: Outcome) -> Outcome:
    """The outcome of a command that ended well and of which the database shows nothing."""
    skip = (
        " Or `resetd skip ID STEP --reason ...`, where you know that it went well." if step.skippable else ""
    )
    if any(_asks_for_rows(check) for check in step.checks):
        checks, mend = "its checks of rows were met before it ran", "Then `resetd resume ID`."
    else:
        checks = "none of its checks tells"
        mend = (
            "Give the step a check in the catalog (`checks`: `rows`, or `learned: true`), or `migrated: true` where it "
            "only migrates; then `resetd resume ID --replan`."
        )
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=outcome.exit_code,
        cause=Reason.SEED_NOT_SEEN,
        detail=(
            f"can't tell whether {step.name} seeded anything: it exited with 0, {checks}, no session of it was seen in "
            f"{', '.join(databases_of(step))}, and the server counts no row that was written there"
        ),
        hint=(f"Read its output (`resetd logs ID STEP`). {mend} It runs again.{skip}"),
        facts=outcome.facts,
    )
