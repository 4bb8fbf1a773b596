"""What rests is told by the doctor, and looked for everywhere only where it may be."""

from __future__ import annotations

from daemon.engine.high_water import HighWater
from daemon.engine.resting import Resting
from daemon.engine.sweepers.quiesced import IDLE_INTERVAL, QuiesceSweeper
from schemas.api import FindingLevel
from schemas.requests import Mode
from schemas.resets import ResetState
from schemas.wire import ResetId
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.resting import DEPLOYMENT, Breaks, quiescing_engine
from tests.unit.engine.drives.stand import ENVIRONMENT

UNKNOWN = ResetId("01900000-0000-7000-8000-000000000001")


def test_the_doctor_tells_what_rests_for_whom_and_since_when() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        resting = Resting(engine.quiescing, engine.store)
        assert await resting.findings(ENVIRONMENT) == []
        engine.programs["work"] = Breaks(engine)
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).state is ResetState.FAILED
        found = {finding.subject: finding for finding in await resting.findings(ENVIRONMENT)}
        deployment = found[str(DEPLOYMENT)]
        since = engine.quiescing.memories[DEPLOYMENT].since
        assert since is not None
        assert (deployment.check, deployment.level) == ("at-rest", FindingLevel.WARNING)
        assert deployment.detail == (
            f"at rest since {since:%Y-%m-%d %H:%M} UTC for qa-sandbox/1 (failed); before: 1 replicas"
        )
        assert await resting.findings("los-sandbox") == []

    run(scenario())


def test_the_doctor_tells_of_resets_that_are_not_known_here_and_of_what_was_set_free() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        await engine.quiescing.quiesce(DEPLOYMENT, UNKNOWN, status=1)
        await engine.pods.scale(ENVIRONMENT, "app", 2)
        (finding,) = await Resting(engine.quiescing, engine.store).findings(ENVIRONMENT)
        assert f"{UNKNOWN} (not known here)" in finding.detail
        assert finding.detail.endswith("somebody has changed it since")

    run(scenario())


def test_what_rests_is_looked_for_seldom_where_no_mode_quiesces_and_nothing_was_found() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        high_water = HighWater(engine.store, engine.marks, engine.clock)
        parts = (engine.quiescing, engine.store, engine.clock, high_water)
        sweeper = QuiesceSweeper(*parts, quiesces=False)
        assert await sweeper.sweep() == IDLE_INTERVAL
        await engine.quiescing.quiesce(DEPLOYMENT, UNKNOWN, status=1)
        assert await sweeper.sweep() is None
        assert await QuiesceSweeper(*parts, quiesces=True).sweep() is None

    run(scenario())
