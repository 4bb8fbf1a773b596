"""What starts pods beside the services rests before they do, and is as it was afterwards."""

from __future__ import annotations

from dataclasses import replace

from daemon.ports.databases import Session
from schemas.quiescing import CRON_JOB, SCALED_OBJECT, ObjectRef
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.memory.quiescing import MemoryStarter
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.resting import quiescing_engine, replicas
from tests.unit.engine.drives.stand import ENVIRONMENT

NIGHTLY = ObjectRef(environment=ENVIRONMENT, kind=CRON_JOB, name="nightly")
SCALER = ObjectRef(environment=ENVIRONMENT, kind=SCALED_OBJECT, name="scaler")


def test_cron_jobs_and_scalers_rest_while_a_command_runs_and_missed_runs_are_told() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        nightly, scaler = MemoryStarter(missed="1 run fell into its rest"), MemoryStarter()
        engine.quiescing.starters = {NIGHTLY: nightly, SCALER: scaler}
        seen: list[tuple[bool, bool, int]] = []

        async def look(_: Process) -> int:
            seen.append((nightly.active, scaler.active, replicas(engine)))
            return 0

        engine.programs["work"] = look
        await engine.ask(Mode.WIPE)
        done = await engine.drive()
        assert done.state is ResetState.DONE, done
        assert seen == [(False, False, 0)]
        assert (nightly.active, scaler.active) == (True, True)
        released = await engine.step(StepName("release.qa-sandbox.cronjob.nightly"))
        assert released.outcome is not None
        assert released.outcome.detail == "1 run fell into its rest"
        plan = await engine.store.plan(engine.id)
        assert plan is not None
        touched = {resource.key for resource in plan.resources}
        assert NIGHTLY.key in touched
        assert SCALER.key not in touched

    run(scenario())


def test_a_job_that_does_not_end_is_named_before_any_service_is_down() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.quiescing.starters = {NIGHTLY: MemoryStarter(jobs=["nightly-1"])}
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.STILL_RUNNING)
        assert "job nightly-1 did not end" in (stopped.detail or "")
        assert replicas(engine) == 1

    run(scenario())


def test_an_application_that_nobody_synced_by_itself_is_not_asked_for_its_health() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        application = engine.quiescing.applications_[ENVIRONMENT]
        application.automated, application.away = False, True
        await engine.ask(Mode.WIPE)
        done = await engine.drive()
        assert (done.state, application.asked) == (ResetState.DONE, 0), done

    run(scenario())


def test_idle_sessions_of_a_pooler_are_ended_and_those_of_others_are_named() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        pooled = Session(7, "app", "pgbouncer", "10.9.9.9", hidden=False, writes=True, since=None)
        reads = Session(8, "reporting", "psql", "10.9.9.8", hidden=False, writes=False, since=None)
        witness = replace(pooled, pid=9, application="resetd 0123456789abcdef")
        engine.database.sessions, engine.database.idle = [pooled, reads, witness], {7, 8, 9}
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.SESSIONS_LEFT)
        assert engine.database.sessions == [reads, witness]
        assert "2 sessions of others: reporting with psql" in (stopped.detail or "")
        engine.database.sessions = [pooled]
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        cleared = await engine.step(StepName("quiesce.sessions.app"))
        assert cleared.outcome is not None
        assert cleared.outcome.facts["ended"] == ["app with pgbouncer from 10.9.9.9"]

    run(scenario())
