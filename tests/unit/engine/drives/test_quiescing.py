"""While databases are rebuilt nothing else starts: services rest, ArgoCD is held, and all of it is given back."""

from __future__ import annotations

import pytest

from daemon.ports.databases import Session
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.ports.quiescing import Obstacles
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.resting import (
    DEPLOYMENT,
    SYNC,
    Breaks,
    quiescing_engine,
    replicas,
    says_nothing,
    sweep,
)
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE


def test_services_are_down_and_argocd_is_held_while_a_command_runs_and_both_are_back_at_the_end() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        seen: list[tuple[int, bool]] = []

        async def look(_: Process) -> int:
            seen.append((replicas(engine), engine.quiescing.applications_[ENVIRONMENT].automated))
            return 0

        engine.programs["work"] = look
        await engine.ask(Mode.WIPE)
        done = await engine.drive()
        assert done.state is ResetState.DONE, done
        assert seen == [(0, False)]
        assert (replicas(engine), engine.quiescing.applications_[ENVIRONMENT].automated) == (1, True)
        assert engine.quiescing.memories == {}

    run(scenario())


def test_a_mode_that_the_catalog_does_not_name_leaves_the_services_alone() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()

        async def look(_: Process) -> int:
            assert replicas(engine) == 1
            return 0

        engine.programs["work"] = look
        await engine.ask(Mode.SEED)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_the_steps_of_quiescing_and_releasing_stand_around_all_others() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        await engine.ask(Mode.WIPE)
        await engine.drive()
        names = [step.name for step in await engine.store.steps(engine.id)]
        assert names[:3] == [
            "quiesce.qa-sandbox.application.qa-sandbox",
            "quiesce.qa-sandbox.deployment.app",
            "quiesce.sessions.app",
        ]
        assert names[-3:] == [
            "release.qa-sandbox.deployment.app",
            "release.qa-sandbox.application.qa-sandbox",
            "release.health.qa-sandbox",
        ]

    run(scenario())


def test_a_service_that_somebody_scales_up_meanwhile_stops_the_reset_before_it_destroys() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        dump = engine.backups.dump

        async def scaled_up_meanwhile(*args: object, **named: object) -> object:
            await engine.pods.scale(ENVIRONMENT, SERVICE, 1)
            return await dump(*args, **named)  # type: ignore[arg-type]

        engine.backups.dump = scaled_up_meanwhile  # type: ignore[method-assign, assignment]
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.QUIESCE_UNDONE)
        assert not engine.pods.launched
        assert "Deployment qa-sandbox/app was set free" in (stopped.detail or "")
        engine.backups.dump = dump  # type: ignore[method-assign]
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert replicas(engine) == 1

    run(scenario())


def test_a_reset_that_stops_before_it_destroyed_anything_gives_the_services_back() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.programs["handshake"] = says_nothing
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert stopped.state is ResetState.FAILED
        assert not stopped.destroyed
        assert replicas(engine) == 0
        await sweep(engine)
        assert replicas(engine) == 1
        assert engine.quiescing.applications_[ENVIRONMENT].automated

    run(scenario())


def test_a_reset_that_stops_after_it_destroyed_something_keeps_the_services_down_until_it_goes_on() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        work = engine.programs["work"] = Breaks(engine)
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert (stopped.state, stopped.destroyed) == (ResetState.FAILED, True)
        assert "At rest until it goes on: Application qa-sandbox/qa-sandbox, Deployment" in (
            stopped.hint or ""
        )
        await sweep(engine)
        assert replicas(engine) == 0
        work.mended = True
        await engine.act(ActKind.RESUME)
        done = await engine.drive()
        assert done.state is ResetState.DONE, done
        assert replicas(engine) == 1

    run(scenario())


def test_a_person_may_give_the_services_back_and_a_resume_quiesces_them_again() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        work = engine.programs["work"] = Breaks(engine)
        await engine.ask(Mode.WIPE)
        await engine.drive()
        await engine.act(ActKind.RELEASE)
        released = await engine.drive()
        assert (released.state, released.released) == (ResetState.FAILED, True)
        assert "released by olga: I looked" in (released.detail or "")
        await sweep(engine)
        assert replicas(engine) == 1
        work.mended = True
        await engine.act(ActKind.RESUME)
        done = await engine.drive()
        assert (done.state, done.released) == (ResetState.DONE, False)
        assert (work.seen, replicas(engine)) == ([0, 0], 1)

    run(scenario())


def test_a_plan_whose_services_can_not_be_kept_at_rest_is_refused_with_who_would_undo_it() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.quiescing.obstacles_[SYNC] = Obstacles(("ApplicationSet qa made it and would undo it",))
        await engine.ask(Mode.WIPE)
        refused = await engine.drive()
        assert (refused.state, refused.cause) == (ResetState.FAILED, Reason.QUIESCE_REFUSED)
        assert "ApplicationSet qa" in (refused.detail or "")
        assert replicas(engine) == 1

    run(scenario())


def test_a_right_that_quiescing_needs_and_the_account_lacks_is_named() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.quiescing.obstacles_[DEPLOYMENT] = Obstacles(
            missing_rights=("patch deployments.apps in qa-sandbox",)
        )
        await engine.ask(Mode.WIPE)
        refused = await engine.drive()
        assert (refused.state, refused.cause) == (ResetState.FAILED, Reason.KUBERNETES_FORBIDDEN)
        assert "missing right: patch deployments.apps in qa-sandbox" in (refused.detail or "")

    run(scenario())


def test_a_service_that_could_have_no_holder_is_refused_before_anything_goes_down() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        missing = "could not create pod: HTTP 403; missing right: create pods in qa-sandbox"
        engine.pods.holders_refused[SERVICE] = (PermanentError(Reason.KUBERNETES_FORBIDDEN, missing),)
        await engine.ask(Mode.WIPE)
        refused = await engine.drive()
        assert (refused.state, refused.cause) == (ResetState.FAILED, Reason.KUBERNETES_FORBIDDEN)
        assert "app could have no holder" in (refused.detail or "")
        assert missing in (refused.detail or "")
        assert (replicas(engine), engine.quiescing.memories) == (1, {})

    run(scenario())


def test_what_another_reset_keeps_at_rest_stays_so_and_is_told() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        other = engine.id.replace(engine.id[-4:], "0000")
        await engine.quiescing.quiesce(SYNC, other, status=1)  # type: ignore[arg-type]
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).state is ResetState.DONE
        assert not engine.quiescing.applications_[ENVIRONMENT].automated
        released = await engine.step(StepName("release.qa-sandbox.application.qa-sandbox"))
        assert released.outcome is not None
        assert released.outcome.facts["quiescedBy"] == [other]

    run(scenario())


@pytest.mark.parametrize("method", ["quiesce", "release"])
def test_a_daemon_that_dies_between_remembering_and_telling_is_taken_up(method: str) -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.quiescing.fail(method, TemporaryError(Reason.KUBERNETES_UNREACHABLE, "no answer"), after=True)
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).state is ResetState.DONE
        assert (replicas(engine), engine.quiescing.memories) == (1, {})

    run(scenario())


def test_a_pod_that_does_not_end_stops_the_reset_before_it_destroys() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.quiescing.applications_[ENVIRONMENT].syncing = True
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.STILL_RUNNING)
        assert "the sync of Application qa-sandbox/qa-sandbox did not end" in (stopped.detail or "")
        assert not stopped.destroyed

    run(scenario())


@pytest.mark.parametrize("writes", [True, False])
def test_a_session_of_somebody_else_stops_the_reset_before_it_destroys(writes: bool) -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.database.sessions = [
            Session(7, "reporting", "psql", "10.9.9.9", hidden=False, writes=writes, since=None)
        ]
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.SESSIONS_LEFT)
        assert stopped.detail == "app has 1 session of others: reporting with psql, after 60 s"
        assert not engine.pods.launched
        engine.database.sessions = []
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())
