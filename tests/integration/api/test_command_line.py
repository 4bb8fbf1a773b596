"""The command line as a process of its own that talks to a real server.

Over 300 lines: all verbs against one stand.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.cli.exit_codes import Exit
from schemas.resets import ResetState
from schemas.wire import ResetId
from tests.contract.store.making import claimed, moved
from tests.integration.api.stand import Stand, free_port, running, served
from tests.integration.stand.starts import forks


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    stand: Stand
    url: str

    def _environment(self, person: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RESETD_")}
        token = self.stand.tokens[person]
        return {**kept, "RESETD_URL": self.url, "RESETD_TOKEN": token, "COLUMNS": "200"}

    @asynccontextmanager
    async def started(
        self, *args: str, person: str = "ana", stdin: int | None = None
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "daemon",
            *args,
            env=self._environment(person),
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def run(self, *args: str, person: str = "ana", stdin: int | None = None) -> Ended:
        """Run it to its end. With a terminal as input it is a program that was just started; else a fork of one."""
        if stdin is None:
            done = await asyncio.to_thread(forks().run, args, self._environment(person), within=60)
            return Ended(done.returncode, done.stdout, done.stderr)
        async with asyncio.timeout(60), self.started(*args, person=person, stdin=stdin) as process:
            out, err = await process.communicate()
            assert process.returncode is not None
            return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
async def resetd(stand: Stand) -> AsyncIterator[CommandLine]:
    async with served(stand) as url:
        yield CommandLine(stand, url)


async def test_request_and_wait_ends_with_0_once_it_is_done_and_everything_can_be_read(
    resetd: CommandLine,
) -> None:
    asked = await resetd.run(
        "request", "qa-sandbox", "--mode", "seed", "--no-git", "--wait", "--reason", "demo"
    )
    assert asked.code == 0, asked
    assert "qa-sandbox/1 is done" in asked.out
    listed, shown, waited, logs, backups = await asyncio.gather(
        resetd.run("list", "-o", "name"),
        resetd.run("show", "qa-sandbox/1", "-o", "json"),
        resetd.run("wait", "qa-sandbox/@latest", "--for", "seeding", "--timeout", "5"),
        resetd.run("logs", "qa-sandbox/1", "seed.los-core-api.system", "--tail", "1", "--since", "1h"),
        resetd.run("backups", "list"),
    )
    assert listed.out == "qa-sandbox/1\n"
    assert shown.json["request"]["reason"] == "demo"
    assert waited.code == 0, waited
    assert "seed:system" in logs.out
    assert backups.out.splitlines()[0].split() == [
        "ID",
        "RESOURCE",
        "RESET",
        "AGE",
        "BYTES",
        "PROVEN",
        "PATH",
    ]


async def test_backups_are_listed_shown_verified_and_pruned(resetd: CommandLine) -> None:
    for _ in range(2):
        asked = await resetd.run("request", "qa-sandbox", "--wait")
        assert asked.code == 0, asked
    listed = (await resetd.run("backups", "list", "-o", "json")).json
    newest, oldest = listed[0], listed[-1]
    shown = await resetd.run("backups", "show", str(newest["id"]), "-o", "json")
    assert shown.json["path"] == newest["path"]
    assert shown.json["environment"] == "qa-sandbox"
    verified = await resetd.run("backups", "verify", str(newest["id"]), person="oli")
    assert verified.code == 0, verified
    assert newest["sha256"] in verified.out
    saved = resetd.stand.saved
    whole, saved[newest["path"]] = saved[newest["path"]], b"cut"
    cut = await resetd.run("backups", "verify", str(newest["id"]), person="oli")
    assert cut.code == 3
    assert "backup-unproven" in cut.err
    saved[newest["path"]] = whole
    refused = await resetd.run("backups", "prune", "--yes", person="oli")
    assert refused.code == 3
    only_named = await resetd.run("backups", "prune", "--dry-run", "-o", "name", person="ada")
    assert oldest["path"] in only_named.out.split()
    assert len((await resetd.run("backups", "list", "-o", "json")).json) == len(listed)
    pruned = await resetd.run("backups", "prune", "--yes", "-o", "json", person="ada")
    assert pruned.code == 0, pruned
    assert {row["path"] for row in pruned.json} == set(only_named.out.split())
    left = (await resetd.run("backups", "list", "-o", "name")).out.split()
    assert {row["path"] for row in listed} - set(left) == set(only_named.out.split())
    assert newest["path"] in left


async def test_a_reset_that_fails_ends_with_1_and_the_next_step(resetd: CommandLine) -> None:
    resetd.stand.failing["seed:system"] = b"the roles are broken\n"
    failed = await resetd.run("request", "qa-sandbox", "--wait")
    assert failed.code == 1
    assert "resetd resume qa-sandbox/1" in failed.out
    resetd.stand.failing.clear()
    resumed = await resetd.run("resume", "qa-sandbox/1", person="oli")
    assert resumed.code == 0, resumed
    watched = await resetd.run("watch", "qa-sandbox/1")
    assert watched.code == 0, watched
    assert "\x1b" not in watched.out
    assert "step-finished  seed.los-core-api.system  attempt=2  succeeded" in watched.out


async def test_wrong_use_ends_with_2_and_says_what_is_right(resetd: CommandLine) -> None:
    wrong_mode, wrong_service, wrong_name, twice, alone = await asyncio.gather(
        resetd.run("request", "qa-sandbox", "--mode", "obliterate"),
        resetd.run("request", "qa-sandbox", "--service", "los-core-api=obliterate"),
        resetd.run("request", "qa-sandbox", "--integration", "$(reboot)"),
        resetd.run("request", "qa-sandbox", "-s", "los-core-api=wipe", "-s", "los-core-api=seed"),
        resetd.run("cancel", "qa-sandbox/1", person="oli"),
    )
    assert [ended.code for ended in (wrong_mode, wrong_service, wrong_name, twice)] == [2, 2, 2, 2]
    assert "los-core-api" in twice.err
    assert "wipe, refresh, seed" in wrong_service.err
    assert "/integrations/0" in wrong_name.err
    assert alone.code == 2
    assert "unknown-reset" in alone.err


async def test_what_is_refused_ends_with_3_what_waits_with_4_and_nobody_there_with_5(
    resetd: CommandLine,
) -> None:
    nobody = CommandLine(resetd.stand, f"http://127.0.0.1:{free_port()}")
    forbidden, waits, unreachable = await asyncio.gather(
        resetd.run("request", "qa-sandbox", person="vera"),
        resetd.run("request", "los-demo-production", "--wait"),
        nobody.run("list"),
    )
    assert (forbidden.code, waits.code, unreachable.code) == (3, 4, 5)
    assert "forbidden" in forbidden.err
    assert "resetd approve los-demo-production/1" in waits.out
    assert "resetd serve" in unreachable.err
    ran_out = await resetd.run("wait", "los-demo-production/1", "--for", "done", "--timeout", "0.1s")
    assert ran_out.code == 4


async def test_a_rejection_says_which_rule(resetd: CommandLine) -> None:
    rejected = await resetd.run("request", "los-demo-production", "--option", "mock", "--wait")
    assert rejected.code == 3
    assert "mock-in-production" in rejected.out


async def test_approving_needs_the_plans_hash_without_a_terminal(resetd: CommandLine) -> None:
    asked = await resetd.run("request", "los-demo-production", "-o", "json")
    waiting = await resetd.stand.until(asked.json, "awaiting-approval")
    blind = await resetd.run("approve", "los-demo-production/1", "--yes", person="ben")
    assert blind.code == 2
    assert waiting["planHash"] in blind.err
    own = await resetd.run(
        "approve", "los-demo-production/1", "--plan-hash", waiting["planHash"], person="ana"
    )
    assert own.code == 3
    agreed = await resetd.run(
        "approve", "los-demo-production/1", "--plan-hash", waiting["planHash"], person="ben"
    )
    assert agreed.code == 0, agreed
    await resetd.stand.until(asked.json, "done")


async def test_approving_on_a_terminal_shows_the_plan_and_asks(resetd: CommandLine) -> None:
    asked = await resetd.run("request", "los-demo-production", "-o", "json")
    waiting = await resetd.stand.until(asked.json, "awaiting-approval")
    for answer, code in ((b"n\n", 3), (b"y\n", 0)):
        keyboard, terminal = pty.openpty()
        try:
            os.write(keyboard, answer)
            ended = await resetd.run("approve", "los-demo-production/1", person="ben", stdin=terminal)
        finally:
            os.close(keyboard)
            os.close(terminal)
        assert ended.code == code, ended
        assert waiting["planHash"] in ended.out
        assert "npm run seed:system" in ended.out
    await resetd.stand.until(asked.json, "done")


async def test_a_plan_is_printed_for_people_machines_and_shells(resetd: CommandLine) -> None:
    table, document, script = await asyncio.gather(
        resetd.run("plan", "qa-sandbox", "--mode", "wipe"),
        resetd.run(
            "plan", "qa-sandbox", "-s", "los-integrations=seed", "--integration", "plaid", "-o", "yaml"
        ),
        resetd.run("plan", "qa-sandbox", "-o", "sh"),
    )
    assert "seed.los-core-api.system" in table.out
    assert "GOES BACK TO" in table.out
    plan = yaml.safe_load(document.out)
    assert plan["integrations"] == ["plaid"]
    (repository,) = plan["repositories"]
    assert repository["beside"]["pullRequests"] == []
    shell = await asyncio.create_subprocess_exec("sh", "-n", stdin=asyncio.subprocess.PIPE)
    await shell.communicate(script.out.encode())
    assert shell.returncode == 0
    assert "-- sh -c 'npm run seed:system'" in script.out


async def test_watching_goes_on_over_a_restart_of_the_daemon(stand: Stand) -> None:
    hold = stand.held["seed:system"] = asyncio.Event()
    port = free_port()
    resetd = CommandLine(stand, f"http://127.0.0.1:{port}")
    reset = await stand.asked()
    await stand.until(reset, "seeding")
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        async with served(stand, port):
            watching = await stack.enter_async_context(resetd.started("watch", reset["id"]))
            assert watching.stdout is not None
            lines = [await watching.stdout.readline()]
            while b"  seeding" not in lines[-1]:
                lines.append(await watching.stdout.readline())
        hold.set()
        await stand.until(reset, "done")
        async with served(stand, port):
            lines += (await watching.stdout.read()).splitlines(keepends=True)
            assert await watching.wait() == 0
    history = await stand.context.store.history(reset["id"])
    assert len(lines) == len(history)
    assert b"  done" in lines[-1]


async def test_the_rest_can_be_looked_at(resetd: CommandLine) -> None:
    me, environments, locks, letters, refusals, doctor = await asyncio.gather(
        resetd.run("auth", "whoami", "-o", "json"),
        resetd.run("environments", "-o", "name"),
        resetd.run("locks"),
        resetd.run("dead-letters", "list", "-o", "json", person="oli"),
        resetd.run("refusals", "list", "-o", "json", person="oli"),
        resetd.run("doctor", "qa-sandbox"),
    )
    assert me.json["subject"] == "ana"
    assert environments.out.split() == ["los-demo-production", "qa-sandbox"]
    assert (locks.code, locks.out, locks.err) == (0, "", "no locks\n")
    assert letters.json == refusals.json == []
    assert doctor.code == 0, doctor
    resetd.stand.deployments.closed["qa-sandbox"] = "OutOfSync"
    resetd.stand.failing["migrate status"] = b"Following migration have not yet been applied\n"
    ill = await resetd.run("doctor", "qa-sandbox")
    assert ill.code == 1
    assert "have not yet been applied" in ill.out


async def test_who_waits_behind_whom_and_who_asked_for_what_is_shown(resetd: CommandLine) -> None:
    resetd.stand.held["seed:system"] = asyncio.Event()
    first = await resetd.stand.asked(reason="for the demo")
    await resetd.stand.until(first, "seeding")
    second = await resetd.stand.asked(mode="seed")
    async with asyncio.timeout(30):
        while not (await resetd.stand.until(second, "queued"))["waitingFor"]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    locks, as_json, listed, audit = await asyncio.gather(
        resetd.run("locks", person="oli"),
        resetd.run("locks", "-o", "json", person="oli"),
        resetd.run("list", person="oli"),
        resetd.run("audit", "--since", "1h", "--environment", "qa-sandbox", person="oli"),
    )
    waiting = [line.split() for line in locks.out.splitlines() if "waits" in line]
    assert waiting
    assert all(line[2:4] == ["qa-sandbox/2", "waits"] and line[-1] == "qa-sandbox/1" for line in waiting)
    assert {row["reference"] for row in as_json.json if row["granted"]} == {"qa-sandbox/1"}
    assert "locks: other resets hold" in listed.out
    assert [line.split()[2:6] for line in audit.out.splitlines()[1:]] == [
        ["request", "applied", "ana", "(http)"]
    ] * 2
    assert "for the demo" in audit.out


async def test_a_token_is_found_in_the_data_directory_of_this_machine(
    resetd: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "operator-token").write_text(resetd.stand.tokens["oli"] + "\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESETD_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "daemon", "--url", resetd.url, "auth", "whoami", "-o", "name"),
        env={**kept, "RESETD_DATA_DIR": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"oli\n")


async def test_waiting_after_a_resume_does_not_take_the_old_failure_for_the_end(tmp_path: Path) -> None:
    async with running(tmp_path, at_work=False) as stand, served(stand) as url:
        resetd, store = CommandLine(stand, url), stand.context.store
        asked = ResetId((await stand.asked())["id"])
        await store.save(moved(await claimed(store, asked), ResetState.FAILED, release_lease=True))
        resumed = await resetd.run("resume", "qa-sandbox/1", person="oli")
        assert resumed.code == 0, resumed
        too_soon = await resetd.run("wait", "qa-sandbox/1", "--timeout", "1s")
        assert too_soon.code == Exit.TIME_IS_UP, too_soon
        found = await claimed(store, asked)
        seen = found.reset.model_copy(update={"acts_seen": found.acts[-1].id})
        await store.save(moved(replace(found, reset=seen), ResetState.DONE))
        for verb in ("wait", "watch"):
            ended = await resetd.run(verb, "qa-sandbox/1")
            assert ended.code == 0, ended
