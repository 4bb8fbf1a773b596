"""The daemon as a process beside the sandbox: started, killed, started again, and asked by its API."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx

from sandbox.polling import wait_until

SERVE = ("-m", "daemon", "serve")
_ENDED_WITHIN = 20.0
# The API is plain HTTP here, so clients need no authorities, and reading the machine's takes each 25 ms.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Started(Protocol):
    """A started process: what it takes of `subprocess.Popen` to end it."""

    @property
    def pid(self) -> int: ...  # noqa: D102 - as `Popen`

    @property
    def returncode(self) -> int | None: ...  # noqa: D102

    def poll(self) -> int | None: ...  # noqa: D102

    def send_signal(self, sig: int, /) -> None: ...  # noqa: D102

    def kill(self) -> None: ...  # noqa: D102

    def wait(self, timeout: float | None = None) -> int: ...  # noqa: D102


Start = Callable[[Mapping[str, str], Path], Started]
"""Starts a daemon with exactly this environment, and appends its output to the file."""


def by_module(*module: str) -> Start:
    """Start a Python program by its arguments, such as `-m daemon serve`."""

    def start(environment: Mapping[str, str], log: Path) -> Started:
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, *module],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    return start


class DaemonProcess:
    """`resetd serve` with its state in `directory`. Every start of one value has the same state and port."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        module: Sequence[str] = SERVE,
        start: Start | None = None,
    ) -> None:
        """`start` makes the process; None: it is made as `python MODULE`."""
        self.directory = directory
        self.log = directory / "daemon.log"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._start = start or by_module(*module)
        self._process: Started | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RESETD_")},
            **environment,
            "RESETD_DATA_DIR": str(directory),
            "RESETD_API_PORT": str(self.port),
            "RESETD_LOG_FORMAT": "json",
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its process, with those that the command line needs."""
        return {**self._environment, "RESETD_URL": self.url}

    @property
    def pid(self) -> int | None:
        """The number of the running process; None when none runs."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process that was started last (negative: a signal); None while it runs, and before."""
        return None if self._process is None else self._process.poll()

    def start(self, **environment: str) -> None:
        """Start the daemon; `environment` holds variables for this start only."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = self._start({**self._environment, **environment}, self.log)

    def wait_ready(self, *, within: float = 120.0) -> None:
        """Wait until its API answers.

        Raises:
            RuntimeError: it ended, or did not answer in time; the message has the last lines of its log.
        """
        if not wait_until(self._is_ready, within=within):
            raise RuntimeError(f"the daemon did not answer within {within:g} s: {self.last_lines()}")

    def _is_ready(self) -> bool:
        if self.pid is None:
            raise RuntimeError(f"the daemon ended: {self.last_lines()}")
        try:
            return httpx.get(f"{self.url}/livez", timeout=2.0, verify=_NO_AUTHORITIES).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """Kill the daemon (SIGKILL), which leaves it no time to clean up."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Send SIGTERM and wait for the end; returns the exit code."""
        return self._end(signal.SIGTERM)

    def wait_ended(self, *, within: float) -> int:
        """Wait until it ends by itself; returns the exit code (negative: a signal)."""
        if self._process is None:
            raise RuntimeError("the daemon was not started")
        return self._process.wait(timeout=within)

    def client(self) -> httpx.Client:
        """Make a client of its API with the operator's token, which the first start wrote."""
        token = (self.directory / "operator-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=10.0, verify=_NO_AUTHORITIES)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Get a path of the API and decode the answer.

        Raises:
            httpx.HTTPError: the API does not answer, or answers with an error.
        """
        with self.client() as client:
            return client.get(path).raise_for_status().json()

    def last_lines(self, number: int = 30) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-number:])

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(timeout=_ENDED_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode or 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
