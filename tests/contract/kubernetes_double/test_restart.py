"""The server is killed with -9, or stopped, or loses the sandbox around it: what becomes of the containers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sandbox.kubernetes.launch import Arguments, Running, start
from sandbox.kubernetes.node.proc import start_ticks
from tests.contract.kubernetes_double.stand import Api

PODS = "/api/v1/namespaces/demo-sandbox/pods"


def init_pids(directory: Path) -> list[tuple[int, int]]:
    """(pid, start ticks) of each container's PID 1, as the host counts them."""
    states = (directory / "cluster" / "containers").glob("*/state")
    return [(int(pid), int(ticks)) for pid, ticks in (one.read_text().split() for one in states)]


def wait_until(fulfilled: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


async def test_a_killed_server_finds_its_containers_and_their_commands_again(
    own_double: list[Running],
    restart: Callable[[], Running],
    connect: Callable[[Running], Api],
    tmp_path: Path,
) -> None:
    api = connect(own_double[-1])
    pod = await api.pod()
    before = (await api.call("GET", f"{PODS}/{pod}")).body
    script = "echo $$ > /tmp/pid; echo up; sleep 1; echo lost; touch /tmp/written; exec sleep 1000"
    async with api.stream(pod, "sh", "-c", script) as socket:
        await socket.receive(timeout=10)
        await socket.receive(timeout=10)
        own_double[-1].kill()
        while not socket.closed:
            message = await socket.receive(timeout=10)
            assert not message.data or message.data[:1] != b"\x03"
    assert all(start_ticks(pid) == ticks for pid, ticks in init_pids(tmp_path))
    port = own_double[-1].ready["port"]
    own_double.append(restart())
    assert own_double[-1].ready["port"] == port
    after = (await api.call("GET", f"{PODS}/{pod}")).body
    assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
    await api.output(pod, "while ! test -e /tmp/written; do sleep 0.05; done")
    assert await api.output(pod, "kill -0 $(cat /tmp/pid) && echo alive") == "alive"
    await api.run(pod, "sh", "-c", "kill -TERM 1")
    await api.until(f"{PODS}/{pod}", lambda one: one["status"]["containerStatuses"][0]["restartCount"] == 1)
    old = before["metadata"]["resourceVersion"]
    [event] = await api.watch(PODS, resourceVersion=str(int(old) - 1), timeoutSeconds="1")
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


async def test_a_container_that_ended_while_the_server_was_away_is_started_again(
    own_double: list[Running],
    restart: Callable[[], Running],
    connect: Callable[[Running], Api],
    tmp_path: Path,
) -> None:
    api = connect(own_double[-1])
    pod = await api.pod()
    own_double[-1].kill()
    for pid, _ in init_pids(tmp_path):
        os.kill(pid, 9)
    own_double.append(restart())
    found = await api.until(
        f"{PODS}/{pod}",
        lambda one: (
            one["status"]["containerStatuses"][0]["restartCount"] == 1
            and one["status"]["containerStatuses"][0]["ready"]
        ),
    )
    last = found["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 137


async def test_a_stopped_server_leaves_no_container(
    own_double: list[Running], connect: Callable[[Running], Api], tmp_path: Path
) -> None:
    await connect(own_double[-1]).pod()
    pids = init_pids(tmp_path)
    assert pids
    own_double[-1].stop()
    assert own_double[-1].process.returncode == 0
    wait_until(lambda: all(start_ticks(pid) != ticks for pid, ticks in pids))


def test_containers_end_with_the_sandbox_even_when_the_server_was_killed(
    own_double: list[Running], tmp_path: Path
) -> None:
    own_double[-1].stop()
    life = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    try:
        arguments = Arguments(
            tmp_path / "cluster",
            tmp_path / "images",
            tmp_path / "variables.json",
            environments=("demo-sandbox",),
        )
        own_double.append(start(replace(arguments, life_pid=life.pid)))

        def up() -> bool:
            return any(start_ticks(pid) == ticks for pid, ticks in init_pids(tmp_path))

        wait_until(up)
        own_double[-1].kill()
        assert up()
    finally:
        life.kill()
        life.wait()
    wait_until(lambda: not up())
