"""The witness as the stand-ins meet it: written before it answers, and told of every end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.journal import JournalProcess, Launch, read, start

_STANDIN = """
import sys, time
from sandbox.services.standins.witness import run

def main(arguments):
    print("running", flush=True)
    sys.stdin.readline()
    return int(arguments[0])

run("standin", main)
"""
_WITHIN = 30.0


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path, as a socket's must be."""
    directory = Path(tempfile.mkdtemp(prefix="resetd-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def witness(place: Path) -> Iterator[JournalProcess]:
    running = start(place)
    yield running
    running.stop()


def _launch(path: Path, code: int = 0, **more: str) -> subprocess.Popen[str]:
    environ = {
        "SANDBOX_JOURNAL": str(path),
        "SANDBOX_NAMESPACE": "qa-sandbox",
        "SANDBOX_POD": "pod",
        "SANDBOX_CONTAINER_ID": "containerd://1",
        "SANDBOX_SERVICE": "los-core-api",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _STANDIN, str(code)],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _running(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WITHIN
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _only(witness: JournalProcess) -> Launch:
    (launch,) = witness.read().launches
    return launch


def test_a_launch_is_in_the_file_before_the_command_does_anything(witness: JournalProcess) -> None:
    process = _launch(witness.socket, RESETD_ATTEMPT="r/s/1")
    _running(process)
    launch = _only(witness)
    assert (launch.namespace, launch.pod, launch.container_id) == ("qa-sandbox", "pod", "containerd://1")
    assert (launch.service, launch.attempt, launch.depth) == ("los-core-api", "r/s/1", 1)
    assert (launch.pid, launch.host_pid) == (process.pid, process.pid)
    assert launch.argv == ("standin", "0")
    assert launch.running
    process.communicate("\n", timeout=_WITHIN)


def test_an_end_carries_the_exit_code_and_a_kill_is_told_apart(witness: JournalProcess) -> None:
    ended, killed = _launch(witness.socket, 3), _launch(witness.socket)
    for process in (ended, killed):
        _running(process)
    ended.communicate("\n", timeout=_WITHIN)
    assert ended.returncode == 3
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=_WITHIN)
    _until(lambda: not any(one.running for one in witness.read().launches))
    by_pid = {one.host_pid: one for one in witness.read().launches}
    assert (by_pid[ended.pid].exit_code, by_pid[ended.pid].killed) == (3, False)
    assert (by_pid[killed.pid].exit_code, by_pid[killed.pid].killed) == (None, True)
    assert all((one.ended or 0) > one.started for one in by_pid.values())


def test_without_its_journal_a_stand_in_refuses_to_run(place: Path) -> None:
    process = _launch(place / "nobody.sock")
    out, err = process.communicate(timeout=_WITHIN)
    assert (process.returncode, out) == (97, "")
    assert "journal can't be reached" in err


def test_what_is_no_stand_in_is_hung_up_on_and_others_are_still_served(witness: JournalProcess) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(witness.socket))
        stranger.sendall(b"\x00 not json\n")
        assert stranger.recv(16) == b""
    process = _launch(witness.socket)
    _running(process)
    process.communicate("\n", timeout=_WITHIN)
    assert len(witness.read().launches) == 1


def test_a_journal_that_was_restarted_goes_on_with_its_numbers(place: Path) -> None:
    for _ in range(2):
        witness = start(place)
        process = _launch(witness.socket)
        _running(process)
        process.communicate("\n", timeout=_WITHIN)
        _until(lambda witness=witness: not witness.read().launches[-1].running)  # type: ignore[misc]
        witness.stop()
    assert [one.id for one in read(place / "journal.jsonl").launches] == [1, 2]


def test_a_line_that_is_still_being_written_is_left_out(place: Path) -> None:
    file = place / "journal.jsonl"
    file.write_text(json.dumps({"kind": "launch", "id": 1})[:-4])
    assert read(file).launches == ()


def test_the_witness_ends_with_the_process_that_started_it(place: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from sandbox.journal import start\n"
        f"print(start(Path({str(place)!r}))._process.pid, flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-I", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    handle = os.pidfd_open(pid)
    try:
        starter.kill()
        starter.communicate(timeout=_WITHIN)
        _until(lambda: not (place / "journal.sock").exists())
    finally:
        os.close(handle)
