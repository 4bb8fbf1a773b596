"""What the journal's file says, as typed records."""

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
        """Raises ValueError when `text` is not a marker."""
        reset, _, rest = text.partition("/")
        step, _, number = rest.rpartition("/")
        if not (reset and step):
            raise ValueError(f"no attempt marker: {text!r}")
        return cls(reset, step, int(number))


@dataclass(frozen=True)
class Launch:
    """One process of a stand-in. Times are seconds: `started`, `ended` monotonic, `started_at`, `ended_at` since 1970.

    `attempt` is None for what a start script or a person launched. `pid` is as its container sees it,
    `host_pid` as the machine does. `depth` 1 is the outermost command, `parent` the id of the launch
    around it. `ended` is None while it runs; `killed`: it went without saying an exit code.
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
        """Whether it was launched by a shell, not by another stand-in."""
        return self.depth == 1

    @property
    def running(self) -> bool:
        """Whether no end was recorded."""
        return self.ended is None

    @property
    def command(self) -> str:
        """The command as a person would read it."""
        return " ".join(self.argv)


@dataclass(frozen=True)
class Journal:
    """All launches, in the order in which the witness answered them."""

    launches: tuple[Launch, ...]

    def outermost(self) -> tuple[Launch, ...]:
        """The commands that shells launched: what a count of launches should count."""
        return tuple(one for one in self.launches if one.outermost)

    def of_attempt(self, attempt: str) -> tuple[Launch, ...]:
        """All processes of one attempt, nested ones too."""
        return tuple(one for one in self.launches if one.attempt == attempt)

    def by_attempt(self) -> dict[str, tuple[Launch, ...]]:
        """The outermost launches of each attempt; without those of start scripts and people."""
        grouped: dict[str, list[Launch]] = {}
        for one in self.outermost():
            if one.attempt is not None:
                grouped.setdefault(one.attempt, []).append(one)
        return {attempt: tuple(launches) for attempt, launches in grouped.items()}

    def span(self, attempt: str) -> tuple[float, float]:
        """From the first start to the last end of all its processes; infinity while one of them runs.

        Raises:
            ValueError: nothing was launched for it.
        """
        of_it = self.of_attempt(attempt)
        ends = [math.inf if one.ended is None else one.ended for one in of_it]
        return min(one.started for one in of_it), max(ends)


def read(path: Path, *, offset: int = 0) -> Journal:
    """Read the file as far as it is written; a last line that is still being written is left out.

    From `offset` (bytes, the beginning of a line) on, ends of what was launched before it are left out, too.
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
