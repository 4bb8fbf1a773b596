"""The records of the journal's file, typed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Marker(NamedTuple):
    """An attempt's marker `{resetId}/{step}/{n}`, as the daemon puts it into the command's environment."""

    reset: str
    step: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Marker:
        """Take a marker apart; ValueError when `text` is none."""
        reset, _, rest = text.partition("/")
        step, _, number = rest.rpartition("/")
        if not (reset and step):
            raise ValueError(f"no attempt marker: {text!r}")
        return cls(reset, step, int(number))


@dataclass(frozen=True)
class Launch:
    """One process of a stand-in.

    `started` and `ended` are monotonic seconds, `started_at` and `ended_at` seconds since 1970; the ends are None while
    it runs. `attempt` is None for what a start script or a person launched. `pid` is the container's number of the
    process, `host_pid` the machine's. `depth` 1 is the outermost command; `parent` is the id of the launch around it.
    `killed`: it ended without an exit code.
    """

    id: int
    namespace: str
    pod: str
    container_id: str
    service: str
    argv: tuple[str, ...]
    cwd: str
    attempt: str | None
    start_script: bool
    pid: int
    host_pid: int
    depth: int
    parent: int | None
    started: float
    started_at: float
    ended: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    killed: bool = False

    @property
    def outermost(self) -> bool:
        """Whether a shell launched it, and no other stand-in."""
        return self.depth == 1

    @property
    def running(self) -> bool:
        """Whether no end was recorded."""
        return self.ended is None

    @property
    def command(self) -> str:
        """The command line in one text, for people."""
        return " ".join(self.argv)


@dataclass(frozen=True)
class Journal:
    """All launches, in the order in which the witness answered them."""

    launches: tuple[Launch, ...]

    def outermost(self) -> tuple[Launch, ...]:
        """The commands that shells launched; a count of launches should count these."""
        return tuple(launch for launch in self.launches if launch.outermost)

    def of_attempt(self, attempt: str) -> tuple[Launch, ...]:
        """All processes of one attempt, nested ones included."""
        return tuple(launch for launch in self.launches if launch.attempt == attempt)

    def by_attempt(self) -> dict[str, tuple[Launch, ...]]:
        """The outermost launches of each attempt; launches of start scripts and people have none."""
        grouped: dict[str, list[Launch]] = {}
        for launch in self.outermost():
            if launch.attempt is not None:
                grouped.setdefault(launch.attempt, []).append(launch)
        return {attempt: tuple(launches) for attempt, launches in grouped.items()}

    def span(self, attempt: str) -> tuple[float, float]:
        """From the first start to the last end of all processes of an attempt; infinity while one of them runs.

        Raises:
            ValueError: nothing was launched for the attempt.
        """
        launches = self.of_attempt(attempt)
        ends = [math.inf if launch.ended is None else launch.ended for launch in launches]
        return min(launch.started for launch in launches), max(ends)


def read(path: Path, *, offset: int = 0) -> Journal:
    """Read the journal's file; a last line that is still being written is left out.

    It reads from `offset` on, in bytes, where a line begins. The ends of launches from before that are left out.
    """
    launches: dict[int, dict[str, Any]] = {}
    with path.open("rb") as file:
        file.seek(offset)
        lines = file.read().splitlines(keepends=True)
    for line in lines:
        if not line.endswith(b"\n"):
            break
        record = json.loads(line)
        if record["kind"] == "launch":
            launches[record["id"]] = _launch(record)
        elif record["id"] in launches:
            launches[record["id"]].update(
                ended=record["monotonic"],
                ended_at=record["wall"],
                exit_code=record["exitCode"],
                killed=record["killed"],
            )
    return Journal(tuple(Launch(**fields) for fields in launches.values()))


def _launch(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": record["id"],
        "namespace": record["namespace"],
        "pod": record["pod"],
        "container_id": record["containerId"],
        "service": record["service"],
        "argv": tuple(record["argv"]),
        "cwd": record["cwd"],
        "attempt": record["attempt"],
        "start_script": record["startScript"],
        "pid": record["pid"],
        "host_pid": record["hostPid"],
        "depth": record["depth"],
        "parent": record["parent"],
        "started": record["monotonic"],
        "started_at": record["wall"],
    }
