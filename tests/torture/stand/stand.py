"""The platform with daemons on it for a few rounds, with a state, topics and a consumer group of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml

import daemon.config.catalogs
from sandbox.daemon_process import DaemonProcess
from sandbox.events import Publisher
from sandbox.faults.armoury import Group
from sandbox.platform.platform import Platform
from schemas.publish import ENVIRONMENTS_TOPIC, REQUESTS_TOPIC
from tests.torture.daemons import crashes, defects, failpoints
from tests.torture.daemons.zygote import Zygote
from tests.torture.script.people import APPROVAL_TTL
from tests.torture.script.script import Block, State
from tests.torture.stand.tokens import Tokens

LEASE = 2.0
"""RESETD_LEASE_TTL of the daemons, in seconds."""
_SETTINGS = {
    "RESETD_LEASE_TTL": f"{LEASE:g}s",
    "RESETD_KAFKA_SESSION_TIMEOUT": "2s",
    "RESETD_APPROVAL_TTL": f"{APPROVAL_TTL:g}s",
    "RESETD_LOG_LEVEL": "info",
}


def quick_catalog(path: Path) -> Path:
    """Write the shipped catalog with short pauses between tries, which save a round's time."""
    shipped = Path(daemon.config.catalogs.__file__).with_name("fuse-platform.yaml")
    catalog = yaml.safe_load(shipped.read_text())
    catalog["retry"] = {"attempts": 5, "initialDelay": 0.2, "factor": 2, "maximumDelay": 2}
    path.write_text(yaml.safe_dump(catalog, sort_keys=False))
    return path


@dataclass
class Counts:
    """What was done to the daemons, and what they answered."""

    kills: int = 0
    stops: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    """The API's answers to acts and requests that it did not accept, by status."""


class Stand:
    """Daemons on the platform, known by their numbers; `stand` makes one."""

    def __init__(
        self,
        platform: Platform,
        daemons: list[DaemonProcess],
        topics: dict[str, str],
        tokens: Tokens | None = None,
    ) -> None:
        """Without `tokens` only the operator calls."""
        self._tokens = tokens
        self.platform = platform
        self.daemons = daemons
        self.topics = topics
        self.counts = Counts()
        self.asleep: dict[int, float] = {}
        """The sleeping daemons, each with the monotonic time at which it was seen to sleep."""
        self.wakes: list[tuple[int, str, str]] = []
        """The sleeps that are over: the daemon, when it fell asleep and when it was woken, as its log writes times."""
        self.deaths: list[float] = []
        """When daemons were killed from outside, in seconds since 1970."""
        self.crashes: list[str] = []
        """What daemons crashed of, and internal errors that they answered, until the evidence takes them."""
        self._down: set[int] = set()
        self._log_from: dict[int, int] = {}
        names = {REQUESTS_TOPIC: topics["requests"], ENVIRONMENTS_TOPIC: topics["environments"]}
        self.publisher = Publisher(platform.bootstrap, topics=names)

    @property
    def backups(self) -> Path:
        """The directory in which all daemons keep their dumps."""
        return self.daemons[0].directory.parent / "backups"

    def kill(self, number: int, failpoint: str | None = None, *, stay_down: bool = False) -> None:
        """Kill a daemon, whether it runs or sleeps, and start it at once, or with `stay_down` by `start_again`."""
        self.asleep.pop(number, None)
        if self.daemons[number].pid is not None:
            self.deaths.append(time.time())
            self.daemons[number].kill()
            self.counts.kills += 1
        self._note_crash(number)
        if stay_down:
            self._down.add(number)
        else:
            self._start(number, failpoint)

    def start_again(self) -> None:
        """Start the daemons that were to stay down."""
        while self._down:
            self._start(self._down.pop(), None)

    def stop(self, number: int) -> None:
        """Send a daemon SIGSTOP; `wake` is to follow."""
        pid = self.daemons[number].pid
        if pid is not None and number not in self.asleep:
            os.kill(pid, signal.SIGSTOP)
            self._sleeps(number)

    def look(self) -> None:
        """Start the daemons that died at a commit or crashed, and note those that fell asleep at a commit."""
        for number, process in enumerate(self.daemons):
            pid = process.pid
            if number in self._down:
                continue
            if pid is None:
                self.counts.kills += self.daemons[number].exit_code == -signal.SIGKILL
                self._note_crash(number)
                self._start(number, None)
            elif number not in self.asleep and _is_stopped(pid):
                self._sleeps(number)

    def wake(self, number: int) -> None:
        """Send a sleeping daemon SIGCONT."""
        if (slept := self.asleep.pop(number, None)) is not None:
            ago = timedelta(seconds=time.monotonic() - slept)
            self.wakes.append((number, _log_time(datetime.now(UTC) - ago), _log_time(datetime.now(UTC))))
            pid = self.daemons[number].pid
            if pid is not None:
                os.kill(pid, signal.SIGCONT)

    def driving(self) -> int | None:
        """The daemon that drives a reset, by the last lines of the logs; None: no daemon does."""
        last = [(_last_drive(process.log), number) for number, process in enumerate(self.daemons)]
        at, number = max(last)
        return number if at else None

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Get a path from a daemon that is awake; None when the daemon answers 404.

        Raises:
            httpx.TransportError: no daemon answers now.
        """
        answer = self._awake("GET", path)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return answer.raise_for_status().json()

    def post(self, path: str, body: dict[str, Any], *, by: str | None = None) -> httpx.Response:
        """Post to a daemon that is awake, as the operator or `by` somebody else; returns any answer.

        Raises:
            httpx.TransportError: no daemon answers now, or the call broke off.
        """
        headers = self._tokens.header(by) if by is not None and self._tokens is not None else None
        return self._awake("POST", path, body, headers)

    def _awake(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        error: httpx.TransportError | FileNotFoundError | None = None
        for number, process in enumerate(self.daemons):
            if number in self.asleep:
                continue
            try:
                with process.client() as client:
                    answer = client.request(method, f"/api/v1{path}", json=body, headers=headers)
            except (httpx.ConnectError, FileNotFoundError) as failed:
                error = failed
            else:
                self._note(method, path, answer)
                return answer
        raise httpx.ConnectError("no daemon answers") from error

    def _note(self, method: str, path: str, answer: httpx.Response) -> None:
        """Count a refused post; note a server error as a crash, unless it is 503: the state database is away."""
        if method == "POST" and answer.is_error:
            self.counts.answers[answer.status_code] += 1
        if answer.is_server_error and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            said = f"a daemon answered {answer.status_code} to {method} {path}: {answer.text[:300]}"
            self.crashes.append(said)

    def _start(self, number: int, failpoint: str | None) -> None:
        log = self.daemons[number].log
        self._log_from[number] = log.stat().st_size if log.exists() else 0
        self.daemons[number].start(**({failpoints.VARIABLE: failpoint} if failpoint else {}))

    def _note_crash(self, number: int) -> None:
        """Note what a daemon crashed of, if it did."""
        if crash := crashes.cause(self.daemons[number], log_from=self._log_from.get(number, 0)):
            self.crashes.append(crash)

    def _sleeps(self, number: int) -> None:
        self.counts.stops += 1
        self.asleep[number] = time.monotonic()


@contextmanager
def stand(
    platform: Platform,
    zygote: Zygote,
    directory: Path,
    block: Block,
    *,
    defect: str | None = None,
    settings: dict[str, str] | None = None,
) -> Iterator[Stand]:
    """Run a stand with its daemons; all daemons are killed at the end."""
    directory.mkdir(parents=True)
    tag = uuid.uuid4().hex[:8]
    tokens = Tokens()
    topics = {name: f"{tag}.{name}" for name in ("requests", "environments", "status", "dead-letters")}
    variables = {
        **platform.environment(),
        **_SETTINGS,
        "RESETD_REQUESTS_TOPIC": topics["requests"],
        "RESETD_ENVIRONMENTS_TOPIC": topics["environments"],
        "RESETD_STATUS_TOPIC": topics["status"],
        "RESETD_DEAD_LETTERS_TOPIC": topics["dead-letters"],
        "RESETD_KAFKA_GROUP_ID": tag,
        "RESETD_BACKUP_URL": (directory / "backups").resolve().as_uri(),
        "RESETD_API_TOKENS": str(tokens.write(directory).resolve()),
        "RESETD_CATALOG": str(quick_catalog(directory / "catalog.yaml")),
        **({defects.VARIABLE: defect} if defect else {}),
        **(settings or {}),
    }
    group = Group(tag, (topics["requests"], topics["environments"]))
    asyncio.run(platform.faults.concern(group))
    if block.state is State.POSTGRESQL:
        variables["RESETD_DATABASE_URL"] = platform.state_url(f"state_{tag}")
    daemons = [
        DaemonProcess(directory / str(number), variables, start=zygote.start)
        for number in range(block.replicas)
    ]
    for process in daemons:
        tokens.give_operators(process.directory)
    this = Stand(platform, daemons, topics, tokens)
    try:
        for process in daemons:
            process.start()
        for process in daemons:
            process.wait_ready(within=90.0)
        yield this
    finally:
        for process in daemons:
            process.kill()


def _log_time(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _last_drive(log: Path) -> str:
    """The time at which a daemon last logged work on a reset; empty when it logged none, or has released the reset."""
    said = ""
    for line in log.read_text(errors="replace").splitlines():
        if '"driver.state"' in line or '"step.attempt-ended"' in line:
            told = json.loads(line)
            said = "" if told.get("state") == "releasing" else str(told["timestamp"])
    return said


def _is_stopped(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] == "T"
