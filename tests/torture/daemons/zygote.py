"""Starts daemons and command lines by fork: each runs the same code, without the 2 s that the imports take."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.polling import wait_until

_LOOK_EVERY = 0.01


class Zygote:
    """The running zygote. Its children end with it, and it ends with the process that made it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._turn = threading.Lock()

    def start(self, environment: Mapping[str, str], log: Path) -> Forked:
        """Fork a daemon with exactly this environment; its output is appended to `log`."""
        return Forked(self, self.ask(start={"environment": dict(environment), "log": str(log)})["pid"])

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, within: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `resetd ARGUMENTS` with exactly this environment, without a terminal and without input.

        Raises:
            subprocess.TimeoutExpired: it still ran after `within` seconds, and was killed.
        """
        with tempfile.TemporaryDirectory(prefix="resetd-") as directory:
            out, err = Path(directory, "stdout"), Path(directory, "stderr")
            what = {"arguments": list(arguments), "environment": dict(environment)}
            forked = Forked(self, self.ask(run={**what, "stdout": str(out), "stderr": str(err)})["pid"])
            try:
                code = forked.wait(within)
            except subprocess.TimeoutExpired:
                forked.kill()
                forked.wait()
                raise
            return subprocess.CompletedProcess(
                ["resetd", *arguments], code, *(file.read_text() for file in (out, err))
            )

    def ask(self, **what: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Send the zygote one line and return the line that it answers.

        Raises:
            RuntimeError: the zygote has ended.
        """
        with self._turn:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the zygote of the daemons has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Forked:
    """A child of the zygote, with those methods of `subprocess.Popen` that it takes to end a process."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._zygote = zygote

    def poll(self) -> int | None:
        """Its exit code (negative: the signal) once it has ended; None while it runs."""
        if self.returncode is None:
            status = self._zygote.ask(reap=self.pid)["status"]
            self.returncode = None if status is None else os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send the child a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send the child SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the child has ended; returns its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        within = math.inf if timeout is None else timeout
        wait_until(lambda: self.poll() is not None, within=within, every=_LOOK_EVERY)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("a forked daemon", within)
        return self.returncode


@contextmanager
def running() -> Iterator[Zygote]:
    """Run a zygote, and end it at last with all of its children.

    Raises:
        RuntimeError: it did not come up.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.torture.daemons.zygote_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            raise RuntimeError("the zygote of the daemons did not come up")
        yield Zygote(process)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
