"""The API server restarts under open streams: commands run on, and the new process undoes what faults had made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest

from sandbox.faults import Fault, FaultKind, Faults
from sandbox.faults.armoury import Armoury
from sandbox.faults.injection import Injection
from sandbox.kubernetes.api_server_faults import ApiServerFaults
from sandbox.kubernetes.control import Cluster
from sandbox.kubernetes.launch import Arguments, Running, start
from tests.contract.kubernetes_double.stand import Api, lay_out


@pytest.fixture
def running(tmp_path: Path) -> Iterator[list[Running]]:
    """The last one is the running one; with who restarts it."""
    running = [start(lay_out(tmp_path))]
    armoury = Armoury(Path(running[0].kubeconfig).parent / "faults")
    again = Arguments(tmp_path / "cluster", tmp_path / "images", tmp_path / "variables.json", environments=())
    faults = ApiServerFaults(armoury, lambda: Cluster(running[-1]), lambda: running.append(start(again)))
    injection = Injection(armoury, faults.injectors(), passing=(httpx.HTTPError,))
    injection.start()
    yield running
    injection.stop()
    running[-1].stop()


async def test_the_api_server_restarts_once_a_stream_is_open_and_the_command_runs_on(
    running: list[Running], session: aiohttp.ClientSession
) -> None:
    directory = Path(running[0].kubeconfig).parent
    daemon = Api(str(directory / "resetd.kubeconfig"), session)
    faults = Faults(directory / "faults")
    (pod,) = await daemon.pods()
    name = pod["metadata"]["name"]
    await faults.arm(Fault(FaultKind.DISK_FULL, seconds=600))
    await faults.arm(Fault(FaultKind.API_SERVER_RESTARTED))
    async with daemon.stream(name, "sh", "-c", "sleep 4; echo ran >> /dev/shm/mark") as socket:
        frames = [message.data async for message in socket]
        assert all(data[0] != 3 for data in frames)
        assert socket.close_code == 1006
    async with asyncio.timeout(30):
        while len(running) < 2:  # noqa: ASYNC110 - another thread's state
            await asyncio.sleep(0.05)
    assert running[1].ready["port"] == running[0].ready["port"]
    admin = Api(running[1].kubeconfig, session)
    await admin.output(
        name, "n=0; until [ -s /dev/shm/mark ] || [ $n = 100 ]; do sleep 0.05; n=$((n+1)); done"
    )
    assert (
        await admin.output(name, "cat /dev/shm/mark; echo roomy > /tmp/file; cat /tmp/file") == "ran\nroomy"
    )
    assert (await daemon.pods())[0]["metadata"]["uid"] == pod["metadata"]["uid"]
    assert (await faults.hits())[FaultKind.API_SERVER_RESTARTED] == 1
    await faults.clear()
