"""What a wipe would do beside what was agreed to is looked at once more right before its launch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.facts import Loss
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import STEP, Engine, catalog

GRANTS = Loss(name="grants to reporting", for_good=True)
PUBLIC = Loss(name="grants to PUBLIC", for_good=True)
CITEXT = Loss(name="extension citext", for_good=False)
RESET = ["npx", "prisma", "migrate", "reset", "--force"]


def showing(engine: Engine, **content: Any) -> None:  # noqa: ANN401 - JSON
    """Let the image have that package.json."""
    text = json.dumps(content).encode()

    async def shell(process: Process) -> int:
        process.write(b"package %d /app/package.json\n%s\nend - .\n" % (len(text), text))
        return 0

    engine.programs["sh"] = shell


def test_e3_a_wipe_of_what_is_lost_for_good_is_refused_before_anything_is_launched() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        engine.database.losses = [GRANTS]
        await engine.ask(Mode.WIPE)
        refused = await engine.drive()
        assert (refused.state, refused.cause) == (ResetState.FAILED, Reason.LOST_BY_WIPE)
        assert refused.stopped_at is None
        engine.database.losses = [CITEXT]
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


@pytest.mark.parametrize("mode", [Mode.REFRESH, Mode.SEED])
def test_what_only_a_wipe_takes_stands_in_no_other_modes_way(mode: Mode) -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        engine.database.losses = [GRANTS]
        await engine.ask(mode)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


@pytest.mark.parametrize(("planned", "later"), [((), (GRANTS,)), ((CITEXT,), (CITEXT, GRANTS))])
def test_e3_what_came_after_the_plan_stops_the_wipe(
    planned: tuple[Loss, ...], later: tuple[Loss, ...]
) -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        engine.database.losses = list(planned)
        engine.pods.meanwhile("prepare", lambda: setattr(engine.database, "losses", list(later)))
        await engine.ask(Mode.WIPE)
        failed = await engine.drive()
        assert (failed.stopped_at, failed.cause) == (STEP, Reason.LOST_BY_WIPE)
        assert "grants to reporting" in (failed.detail or "")
        assert "knownLosses" in (failed.hint or "")
        assert engine.launched() == 0

    run(scenario())


def test_an_extension_that_can_not_be_made_again_any_more_stops_the_wipe() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        engine.database.losses = [CITEXT]
        for_good = CITEXT.model_copy(update={"for_good": True})
        engine.pods.meanwhile("prepare", lambda: setattr(engine.database, "losses", [for_good]))
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).cause is Reason.LOST_BY_WIPE

    run(scenario())


def test_what_the_catalog_lists_is_lost_with_the_wipe() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(database={"knownLosses": [GRANTS.name]}))
        engine.database.losses = [GRANTS]
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_e4_a_seed_that_is_configured_after_the_plan_stops_the_wipe() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(argv=RESET))
        showing(engine, scripts={})
        engine.pods.meanwhile("prepare", lambda: showing(engine, prisma={"seed": "tsx mock.ts"}))
        await engine.ask(Mode.WIPE)
        failed = await engine.drive()
        assert (failed.stopped_at, failed.cause) == (STEP, Reason.CONFIGURED_SEED)
        assert "/app/package.json has prisma.seed: tsx mock.ts" in (failed.detail or "")
        assert "--skip-seed" in (failed.hint or "")
        assert engine.launched("npx") == 0

    run(scenario())


@pytest.mark.parametrize(
    ("loaded", "code", "cause"),
    [
        (b"hello of the configuration\nseed null\n", 0, None),
        (b'\nseed "tsx mock.ts"\n', 0, Reason.CONFIGURED_SEED),
        (b"\nseed null\n", 1, Reason.CONFIGURED_SEED),
        (b"", 0, Reason.CONFIGURED_SEED),
        (b"seed nullish\n", 0, Reason.CONFIGURED_SEED),
    ],
)
def test_e4_prismas_own_loader_says_what_a_configuration_takes_from_elsewhere(
    loaded: bytes, code: int, cause: Reason | None
) -> None:
    async def scenario() -> None:
        engine, asked = Engine(catalog(argv=RESET)), []
        files = ("package /app/package.json {}", "config /app/prisma.config.ts export default { ...ours }")

        async def shell(process: Process) -> int:
            for kind, path, text in (file.split(" ", 2) for file in files):
                process.write(f"{kind} {len(text)} {path}\n{text}\n".encode())
            process.write(b"end - .\n")
            return 0

        async def node(process: Process) -> int:
            asked.append(process.argv[3:])
            process.write(loaded)
            return code

        engine.programs |= {"sh": shell, "node": node}
        await engine.ask(Mode.WIPE)
        rested = await engine.drive()
        assert rested.cause is cause
        assert rested.state is (ResetState.DONE if cause is None else ResetState.FAILED)
        arguments = ("--", "/app/prisma.config.ts", "migrate", "reset", "--force")
        # Once for a container where plans are made, and once where commands are launched.
        assert [tuple(one) for one in asked] == [arguments] * (2 if cause is None else 1)

    run(scenario())


@pytest.mark.parametrize("step", [{}, {"configuredSeed": "refuse"}])
def test_e4_a_container_that_shows_nothing_has_given_no_answer(step: dict[str, Any]) -> None:
    async def scenario() -> None:
        engine, asked = Engine(catalog(argv=RESET, **step)), []

        async def silent(process: Process) -> int:
            asked.append(process)
            return 0

        engine.programs["sh"] = silent
        await engine.ask(Mode.WIPE)
        await engine.drive_until(lambda: len(asked) > 2)
        assert engine.launched("npx") == 0

    run(scenario())


def test_a_seed_that_the_catalog_allows_is_not_looked_for() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(argv=RESET, configuredSeed="allow"))
        showing(engine, prisma={"seed": "tsx mock.ts"})
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_d1_a_tried_wipe_may_find_less_to_lose_and_more_is_another_plan() -> None:
    async def scenario(left: list[Loss], *, same: bool) -> None:
        engine = Engine(catalog(database={"knownLosses": [GRANTS.name, "grants to PUBLIC"]}))
        engine.database.losses = [CITEXT, GRANTS]
        failing(engine)
        await engine.ask(Mode.WIPE)
        failed = await engine.drive()
        assert failed.stopped_at == STEP
        engine.database.losses = left
        engine.programs.pop("work")
        await engine.act(ActKind.RESUME)
        done = await engine.drive()
        assert done.state is ResetState.DONE
        assert (done.plan_hash == failed.plan_hash) is same

    for left in ([], [GRANTS], [CITEXT, GRANTS]):
        run(scenario(left, same=True))
    run(scenario([PUBLIC], same=False))


def test_d1_what_is_lost_is_read_anew_for_a_wipe_that_is_to_run_again_by_a_new_plan() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(database={"knownLosses": [GRANTS.name]}))
        engine.database.losses = [GRANTS]
        failing(engine)
        await engine.ask(Mode.WIPE)
        await engine.drive()
        engine.database.losses = [PUBLIC]
        await engine.act(ActKind.RESUME, replan=True)
        assert (await engine.drive()).cause is Reason.LOST_BY_WIPE

    run(scenario())


def failing(engine: Engine) -> None:
    """Let the step fail."""

    async def work(process: Process) -> int:
        process.write(b"broken\n")
        return 1

    engine.programs["work"] = work
