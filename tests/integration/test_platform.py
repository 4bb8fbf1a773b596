"""The sandbox platform as a whole: it comes up, agrees with itself, grows, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaProducer

from sandbox import fleet
from sandbox.kafka import TOPICS
from sandbox.platform.directory import PlatformRunningError
from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control

WITHIN = 60.0


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def port_of_postgres(description: Path) -> int:
    databases = json.loads(description.read_text())["databases"]
    return int(re.findall(r":(\d+)/", databases["qa-sandbox"]["los-core-api"]["DATABASE_URL"])[0])


def mentioning(text: str) -> list[int]:
    """Processes whose command line holds the text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in path.read_bytes().decode(errors="replace") and alive(int(path.parent.name)):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [pid for pid in found if pid != os.getpid()]


async def replicas(platform: Platform, service: str) -> int:
    found = await platform.cluster.deployments("qa-sandbox")
    return int(next(one["spec"]["replicas"] for one in found if one["metadata"]["name"] == service))


async def until_none_mentions(text: str) -> None:
    async with asyncio.timeout(WITHIN):
        while mentioning(text):  # noqa: ASYNC110 - other processes end
            await asyncio.sleep(0.1)


async def test_the_parts_agree_on_databases_repositories_and_topics(platform: Platform) -> None:
    labels = [pod["metadata"]["labels"] for pod in await platform.cluster.pods("qa-sandbox")]
    # Holders of other tests' resets have no such label.
    names = {one["app.kubernetes.io/name"] for one in labels if "app.kubernetes.io/name" in one}
    assert names == set(fleet.SERVICES)
    held = platform.contents("qa-sandbox")
    assert {place.partition("/")[2] for place in held} == {
        *("los-sandbox", "data-builder", "integrations"),
        *("sequence-builder", "ui-builder", "workflow-builder"),
    }
    assert all(any(rows for rows in tables.values()) for tables in held.values())
    assert await platform.github.head("qa-workflows")
    async with AIOKafkaProducer(bootstrap_servers=platform.bootstrap) as producer:
        for topic in TOPICS:
            assert len(await producer.partitions_for(topic)) == 3


async def test_the_daemon_finds_its_variables_and_secrets_are_for_nobody_else(platform: Platform) -> None:
    lines = (platform.directory / "resetd.env").read_text().splitlines()
    assert dict(line.split("=", 1) for line in lines) == platform.environment()
    for name in ("resetd.env", "platform.json", "environments.json"):
        assert stat.S_IMODE((platform.directory / name).stat().st_mode) == 0o600
    described = json.loads((platform.directory / "platform.json").read_text())
    assert described["kafka"]["bootstrap"] == platform.bootstrap


async def test_dirt_shows_in_the_contents_of_every_database(platform: Platform) -> None:
    for service in fleet.SERVICES:
        # The same dirt twice may change nothing, and other tests may have left theirs.
        with psycopg.connect(platform.postgres_url("qa-sandbox", service).partition("?")[0]) as connection:
            connection.execute("DROP TABLE IF EXISTS scratch_notes")
    before = platform.contents("qa-sandbox")
    platform.dirty("qa-sandbox")
    after = platform.contents("qa-sandbox")
    assert all(before[place] != after[place] for place in before)


async def test_a_deleted_pod_is_succeeded_by_one_that_runs_its_start_script(platform: Platform) -> None:
    service = "sequence-builder-api"
    (old,) = await platform.cluster.pods("qa-sandbox", service)
    launched = len(platform.journal_reader().outermost())
    await platform.cluster.delete_pod("qa-sandbox", old["metadata"]["name"])
    async with asyncio.timeout(WITHIN):
        while old["metadata"]["name"] in {  # noqa: ASYNC110 - the double's state
            pod["metadata"]["name"] for pod in await platform.cluster.pods("qa-sandbox", service)
        }:
            await asyncio.sleep(0.1)
    await platform.until_ready(["qa-sandbox"], within=WITHIN)
    assert len(platform.journal_reader().outermost()) > launched


async def test_scaling_is_healed_by_argocd_and_health_can_be_held(platform: Platform) -> None:
    await platform.cluster.hold_health("qa-sandbox", "Progressing")
    held = await platform.cluster.application("qa-sandbox")
    assert held["status"]["health"]["status"] == "Progressing"
    await platform.cluster.scale("qa-sandbox", "ui-builder-api", 0)
    await platform.cluster.let_health_go("qa-sandbox")
    async with asyncio.timeout(WITHIN):
        while await replicas(platform, "ui-builder-api") != 1:  # noqa: ASYNC110 - the double's state
            await asyncio.sleep(0.1)
    await platform.until_ready(["qa-sandbox"], within=WITHIN)


async def test_an_environment_is_added_while_the_platform_runs(platform: Platform) -> None:
    await platform.provision("beta-sandbox", within=WITHIN)
    core = platform.postgres_url("beta-sandbox", "los-core-api")
    assert core == platform.postgres_url("beta-sandbox", "data-builder-api", "CORE_DATABASE_URL")
    with psycopg.connect(core.partition("?")[0]) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM roles").fetchone() == (True,)
    await platform.cluster.delete_namespace("beta-sandbox")


async def test_stand_ins_do_as_they_are_told(platform: Platform) -> None:
    platform.control("qa-sandbox", "los-core-api", **{"seed:system": Control(seconds=1)})
    assert (platform.directory / "controls" / "qa-sandbox" / "los-core-api.json").exists()
    platform.clear_controls()
    assert not list((platform.directory / "controls").glob("*/*.json"))


async def test_a_directory_holds_one_platform(platform: Platform) -> None:
    with pytest.raises(PlatformRunningError):
        async with Platform.start(platform.directory, environments=[]):
            pass


async def test_a_platform_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "up",
        "--directory",
        str(tmp_path),
        "--environments",
        "qa-sandbox",
    ]
    with subprocess.Popen(  # noqa: ASYNC220 - its ready line is all that is waited for
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(await asyncio.to_thread(process.stdout.readline))
            port = port_of_postgres(Path(ready["platform"]))
            assert mentioning(str(tmp_path))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    await until_none_mentions(str(tmp_path))
    await until_none_mentions(f"-p{port}")
