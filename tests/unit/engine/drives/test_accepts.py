"""A protected reset that only an event asked for takes two people's word for what a learned check found."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from uuid_utils import uuid7

from schemas.audit import AuditAction, Verdict
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, Channel, Reset, ResetState, StepState
from schemas.wire import ResetId
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

CHECK = "learned.app"
PROTECTED = {"protected": True, "approvers": 1, "approversUnattended": 2}


async def agreed(engine: Engine) -> Reset:
    """Let two people agree, and drive the reset until it rests."""
    await engine.drive_until(
        lambda: engine.store.state.entries[engine.id].reset.state is ResetState.AWAITING_APPROVAL
    )
    waiting = await engine.reset()
    assert waiting.approvals_required == 2
    for person in ("ben", "cleo"):
        await engine.act(ActKind.APPROVE, person, plan_hash=waiting.plan_hash)
    return await engine.drive()


class People:
    """Those who may approve; a test takes somebody out."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def of(self, environments: Collection[str]) -> frozenset[str]:  # noqa: ARG002 - everywhere
        return frozenset(self.names)


async def emptied(approvers: People | None = None) -> Engine:
    """A wipe by an event that failed: its seed filled less than that of the wipe before."""
    loaded = catalog(checks=[{"learned": True}], database={"name": "app"}, kind=PROTECTED)
    engine = Engine(loaded, approvers=approvers)
    filled: dict[str, list[str]] = {"roles": ["row"], "users": ["row"]}

    async def seed(_process: Process) -> int:
        engine.database.tables = {name: list(rows) for name, rows in filled.items()}
        return 0

    engine.programs["work"] = seed
    for state in (ResetState.DONE, ResetState.FAILED):
        engine.id = ResetId(str(uuid7()))
        await engine.ask(Mode.WIPE, Channel.KAFKA)
        assert (await agreed(engine)).state is state
        filled["users"] = []
    return engine


async def accept(engine: Engine, person: str) -> Reset:
    await engine.act(ActKind.ACCEPT, person, check_name=CHECK)
    return await engine.drive()


async def lines(engine: Engine) -> list[tuple[str, Verdict, Any]]:
    found = [one for one in await engine.store.audit() if one.action is AuditAction.ACCEPT]
    return [(one.actor, one.verdict, one.code or one.facts.get("accepts")) for one in reversed(found)]


def test_d4_one_accept_of_two_is_told_and_kept_and_the_second_persons_lets_the_reset_go_on() -> None:
    async def scenario() -> None:
        engine = await emptied()
        launched = engine.launched()
        one = await accept(engine, "ben")
        assert (one.state, one.cause) == (ResetState.FAILED, Reason.TABLES_EMPTY)
        assert f"1 of 2 accepts of {CHECK} (ben): somebody else has to accept it, too." in (one.hint or "")
        (*_, last) = await engine.store.history(engine.id)
        assert last.data["hint"] == one.hint
        assert (await accept(engine, "Ben")).state is ResetState.FAILED
        # Each word above was read by another claim: nothing but the stored rows knows of the first.
        assert (await accept(engine, "cleo")).state is ResetState.DONE
        assert engine.launched() == launched
        assert await lines(engine) == [
            ("ben", Verdict.APPLIED, "1 of 2"),
            ("Ben", Verdict.REFUSED, Reason.ALREADY_ACCEPTED),
            ("cleo", Verdict.APPLIED, "2 of 2"),
        ]

    run(scenario())


def test_d4_an_accept_ends_with_the_stop_that_it_was_given_for() -> None:
    async def scenario() -> None:
        engine = await emptied()
        await accept(engine, "ben")
        await engine.act(ActKind.RESUME)
        again = await agreed(engine)
        assert (again.state, again.cause, again.stops) == (ResetState.FAILED, Reason.TABLES_EMPTY, 2)
        assert "accepts of" not in (again.hint or "")
        assert (await accept(engine, "cleo")).state is ResetState.FAILED
        assert (await accept(engine, "ben")).state is ResetState.DONE
        assert [what for _, _, what in await lines(engine)] == ["1 of 2", "1 of 2", "2 of 2"]
        assert (await engine.step()).state is StepState.SUCCEEDED

    run(scenario())


def test_two_accepts_at_once_are_two_peoples_word() -> None:
    async def scenario() -> None:
        engine = await emptied()
        for person in ("ben", "ben", "cleo"):
            await engine.act(ActKind.ACCEPT, person, check_name=CHECK)
        assert (await engine.drive()).state is ResetState.DONE
        assert [what for _, _, what in await lines(engine)] == ["1 of 2", Reason.ALREADY_ACCEPTED, "2 of 2"]

    run(scenario())


def test_d4_an_accept_of_somebody_who_may_not_approve_any_more_is_not_counted() -> None:
    async def scenario() -> None:
        people = People("ben", "cleo", "dan")
        engine = await emptied(people)
        assert (await accept(engine, "ben")).state is ResetState.FAILED
        people.names.remove("ben")
        second = await accept(engine, "cleo")
        assert second.state is ResetState.FAILED
        assert f"1 of 2 accepts of {CHECK} (cleo): somebody else has to accept it, too." in (
            second.hint or ""
        )
        assert (await accept(engine, "dan")).state is ResetState.DONE
        assert [accepts for _, _, accepts in await lines(engine)] == ["1 of 2", "1 of 2", "2 of 2"]

    run(scenario())
