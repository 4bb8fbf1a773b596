"""What a command would seed unasked: followed through shells and npm's scripts to Prisma, and to what it reads."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from statemachines.steps.tool_seeds import Answer, FileKind, ImageFile, Loaded, follow, judge, to_load

RESET = ("sh", "-c", "npx prisma migrate reset --force")


def package(*, seed: object = None, **scripts: str) -> ImageFile:
    content: dict[str, Any] = {"scripts": {name.replace("_", ":"): text for name, text in scripts.items()}}
    if seed is not None:
        content["prisma"] = {"seed": seed}
    return ImageFile(FileKind.PACKAGE, "/app/package.json", json.dumps(content))


def config(text: str) -> ImageFile:
    return ImageFile(FileKind.CONFIG, "/app/prisma.config.ts", text)


def installed(version: str) -> ImageFile:
    return ImageFile(
        FileKind.PRISMA, "/app/node_modules/prisma/package.json", json.dumps({"version": version})
    )


def answer(argv: tuple[str, ...] | str, *files: ImageFile, declared: bool = False) -> Answer:
    command = ("sh", "-c", argv) if isinstance(argv, str) else argv
    return judge(command, files, declared=declared).answer


@pytest.mark.parametrize(
    "command",
    [
        "npx prisma migrate reset --force",
        "npx --yes prisma@6.19 migrate reset -f --schema=./prisma/schema.prisma",
        "./node_modules/.bin/prisma migrate reset --force",
        "node node_modules/prisma/build/index.js migrate reset --force",
        "NODE_ENV=test dotenv -e .env -- prisma migrate reset --force && echo done",
        "prisma migrate dev",
        "sh -c 'npx prisma migrate reset --force'",
        "echo --skip-seed; prisma migrate reset --force",
        "prisma migrate reset --force\necho --skip-seed",
        "prisma migrate reset --force --skip-seed; prisma migrate reset --force",
        "$PRISMA migrate reset --force",
        "echo `npx prisma migrate reset --force`",
        'echo "$(npx prisma migrate reset --force)"',
        "echo it's; npx prisma migrate reset --force --skip-seed",  # a quote without an end
        "npm run db:reset",
        "npm run --silent db:reset",
        "npm --prefix . run db:reset",
        "npm run db:reset --skip-seed",  # npm takes what stands before `--` for itself
        "npm run db:both -- --skip-seed",  # reaches the last command alone
        "yarn db:reset",
        "pnpm run db:reset",
        "run-p 'db:*'",
        "concurrently 'npm run db:reset' 'npm run other'",
        "npm run hidden",
        "npm run prisma -- migrate reset --force",
        "cd sub && npx prisma migrate reset --force",
    ],
)
def test_e4_a_command_that_resets_by_prisma_runs_the_seed_of_package_json(command: str) -> None:
    known = package(
        seed="ts-node mock.ts",
        db_reset="prisma migrate reset --force",
        db_both="prisma migrate reset --force && prisma migrate reset --force",
        other="echo other",
        hidden="echo now",
        prehidden="npm run db:reset",
        prisma="prisma",
    )
    assert answer(command, known) is Answer.CONFIGURED


@pytest.mark.parametrize(
    "command",
    [
        "npx prisma migrate reset --force --skip-seed",
        "npx prisma migrate reset --skip-seed --force --schema=./a && npx prisma migrate reset --skip-seed --force",
        "npm run db:reset -- --skip-seed",
        "yarn db:reset --skip-seed",
        "npm run skips",
        "npm run seed",
        "npx prisma migrate deploy",
        "npx prisma generate",
        "echo prisma migrate; reset",
    ],
)
def test_a_command_that_skips_the_seed_or_resets_nothing_runs_none(command: str) -> None:
    known = package(
        seed="ts-node mock.ts",
        db_reset="prisma migrate reset --force",
        skips="prisma migrate reset --force --skip-seed",
        seed_="",
    )
    assert answer(command, known) is Answer.NONE
    if "skip" in command:
        assert answer(command, known, declared=True) is Answer.NONE


def test_a_command_that_is_declared_to_reset_runs_the_seed_whatever_its_text_shows() -> None:
    assert answer("./scripts/reset.sh", package(seed="mock")) is Answer.NONE
    assert answer("./scripts/reset.sh", package(seed="mock"), declared=True) is Answer.CONFIGURED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "export default defineConfig({ migrations: { path: 'x', seed: 'tsx mock.ts' } })",
            Answer.CONFIGURED,
        ),
        ("module.exports = { migrations: { seed: `tsx mock.ts` } }", Answer.CONFIGURED),
        ("const seed = 'tsx mock.ts'\nexport default { migrations: { seed } }", Answer.CONFIGURED),
        ("export default defineConfig({ migrations: { path: 'prisma/migrations' } })", Answer.NONE),
        ("export default { schema: 'prisma/schema.prisma' } // seed: none\n/* seed */", Answer.NONE),
        ("export default defineConfig({ migrations: shared.migrations })", Answer.UNCLEAR),
        ("export default { ...shared }", Answer.UNCLEAR),
        ("import shared from './shared'\nexport default shared", Answer.UNCLEAR),
    ],
)
def test_e4_a_seed_in_prisma_config_counts_and_what_can_not_be_read_there_is_no_answer(
    text: str, expected: Answer
) -> None:
    assert answer(RESET, package(), config(text)) is expected


@pytest.mark.parametrize("text", ["export default { ...shared }", "export default shared"])
@pytest.mark.parametrize(
    ("loaded", "expected"),
    [
        (None, Answer.UNCLEAR),
        (Loaded(None), Answer.NONE),
        (Loaded("tsx mock.ts"), Answer.CONFIGURED),
    ],
)
def test_e4_what_a_configuration_takes_from_elsewhere_is_what_the_tools_own_loader_says(
    text: str, loaded: Loaded | None, expected: Answer
) -> None:
    file = config(text)
    assert to_load([package(), file]) == [file]
    assert answer(RESET, package(), replace(file, loaded=loaded)) is expected
    assert answer(RESET, package(seed="mock"), replace(file, loaded=loaded)) is Answer.CONFIGURED


def test_e4_a_seed_that_the_text_shows_counts_whatever_the_loader_says() -> None:
    shown = config("export default { ...shared, migrations: { seed: process.env.CI ? undefined : 'mock' } }")
    assert to_load([shown, config("export default { schema: 'x' }")]) == []
    assert answer(RESET, package(), replace(shown, loaded=Loaded(None))) is Answer.CONFIGURED


@pytest.mark.parametrize("text", [None, "{", "[]", '"prisma"'])
def test_e4_a_package_json_that_can_not_be_read_is_no_answer(text: str | None) -> None:
    broken = ImageFile(FileKind.PACKAGE, "/app/package.json", text)
    assert answer(RESET, broken) is Answer.UNCLEAR
    assert answer("npm run db:reset", broken) is Answer.UNCLEAR
    assert answer("ts-node seed.ts", broken) is Answer.NONE
    assert answer(RESET) is Answer.UNCLEAR


@pytest.mark.parametrize("seed", ["", None])
def test_an_image_without_a_seed_seeds_nothing(seed: object) -> None:
    assert answer(RESET, package(seed=seed)) is Answer.NONE


def test_prisma_7_seeds_only_when_it_is_asked_to() -> None:
    assert answer(RESET, package(seed="mock"), installed("7.0.1")) is Answer.NONE
    assert answer(RESET, package(seed="mock"), installed("6.19.3")) is Answer.CONFIGURED
    assert answer(RESET, package(seed="mock"), installed("7.0.1"), installed("6.19.3")) is Answer.CONFIGURED
    assert answer(RESET, package(seed="mock"), installed("what")) is Answer.CONFIGURED


def test_scripts_that_call_each_other_without_end_are_followed_to_an_end() -> None:
    endless = package(a="npm run b && npx prisma migrate reset --skip-seed", b="npm run a", seed="mock")
    assert answer("npm run a", endless) in {Answer.CONFIGURED, Answer.NONE, Answer.UNCLEAR}


def test_directories_that_a_command_goes_to_are_named() -> None:
    found = follow(
        ("sh", "-c", "cd a && npm --prefix b run x; pnpm -C c x; prisma migrate reset --config=d/e.ts"), ()
    )
    assert found.directories == {"a", "b", "c", "d"}


@pytest.mark.parametrize("unit", ["/* ", "/*", "// ", "migrations", " ", "'\n"])
def test_h4_a_configuration_of_an_image_is_read_in_one_pass(unit: str) -> None:
    def seconds(length: int) -> float:
        text = f"migrations{unit * (length // len(unit))}: {{"
        began = time.process_time()
        judge(RESET, [package(), config(text)], declared=True)
        return time.process_time() - began

    # Of four times the length what begins again at each place takes at least sixteen times as long.
    assert seconds(400_000) < 10 * min(seconds(100_000) for _ in range(3)) + 0.2
