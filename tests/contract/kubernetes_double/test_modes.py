"""Machines that let a plain user make namespaces, and machines that refuse them altogether."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.kubernetes.launch import Running, start
from tests.contract.kubernetes_double.stand import Api, lay_out

ONLY_AS_USER = '#!/bin/sh\ncase "$1" in --user) exec /usr/bin/unshare "$@" ;; esac\nexit 1\n'
REFUSES = "#!/bin/sh\nexit 1\n"


def marked(container_id: str) -> list[str]:
    """The processes on this machine that belong to a container."""
    marker = f"SANDBOX_CONTAINER_ID={container_id}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if marker in environment.split(b"\0"):
            found.append(process.name)
    return found


@pytest.fixture
def refusing_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Running]:
    (tmp_path / "programs").mkdir()
    unshare = tmp_path / "programs" / "unshare"
    unshare.write_text(request.param)
    unshare.chmod(0o755)
    monkeypatch.setenv("PATH", f"{unshare.parent}:{os.environ['PATH']}")
    running = start(lay_out(tmp_path))
    yield running
    running.stop()


@pytest.mark.parametrize("refusing_machine", [ONLY_AS_USER], indirect=True)
async def test_user_namespaces_do_where_plain_ones_are_refused(
    refusing_machine: Running, connect: Callable[[Running], Api]
) -> None:
    if not refusing_machine.ready["namespaces"]:
        pytest.skip("this machine refuses user namespaces")
    api = connect(refusing_machine)
    pod = await api.pod()
    assert await api.output(pod, "read pid rest < /proc/self/stat; test $pid -lt 100 && echo own") == "own"
    ran = await api.run(pod, "sh", "-c", "exit 7")
    assert ran.status is not None
    assert ran.status["details"]["causes"][0]["message"] == "7"


@pytest.mark.parametrize("refusing_machine", [REFUSES], indirect=True)
async def test_without_namespaces_it_says_so_and_still_leaves_nothing_behind(
    refusing_machine: Running, connect: Callable[[Running], Api], tmp_path: Path
) -> None:
    assert refusing_machine.ready["namespaces"] is False
    assert "WARNING: this machine refuses namespaces" in (tmp_path / "cluster" / "server.log").read_text()
    api = connect(refusing_machine)
    pod = await api.pod()
    container_id = await api.output(pod, "sleep 1000 >/dev/null 2>&1 & echo $SANDBOX_CONTAINER_ID")
    # PID 1, the start script's sleep, and the one that was left in the background.
    assert len(marked(container_id)) == 3
    await api.call("DELETE", f"/api/v1/namespaces/demo-sandbox/pods/{pod}", gracePeriodSeconds="0")
    await api.until("/livez", lambda _: not marked(container_id))
