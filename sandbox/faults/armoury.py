"""What is armed and what has hit: files in one directory, which every process of the platform reads and writes.

    armed/KIND.ID       a fault as JSON; ID grows with time. Gone once the fault is spent or cleared
    hits/KIND.ID.N      the fault's N-th hit. Only the process that makes the file lets the fault happen
    effects/KIND.ID.M   the fault lasts now; the file says what was made. Gone once that is undone
    ends/KIND.ID.M      the effect is to be undone before its time

So a fault survives the kill of the process that injects it, several processes may serve one kind, and only what
happened is counted.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.faults.fault import Fault
from sandbox.faults.kinds import FaultKind

_numbers = itertools.count()


@dataclass(frozen=True)
class Armed:
    """An armed fault, under its id."""

    id: str
    fault: Fault

    @property
    def name(self) -> str:
        """How the names of its files begin."""
        return f"{self.fault.kind}.{self.id}"


@dataclass(frozen=True)
class Group:
    """The consumer group that Kafka's faults are for, and the topics that it reads."""

    id: str = "resetd"
    topics: tuple[str, ...] = ("fuse.environment-resets.requests.v1", "fuse.environments.v1")


class Armoury:
    """The directory with what is armed and what has hit; made when it is first opened."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._armed = directory / "armed"
        self._hits = directory / "hits"
        self._effects = directory / "effects"
        self._ends = directory / "ends"
        for folder in (self._armed, self._hits, self._effects, self._ends):
            folder.mkdir(parents=True, exist_ok=True)

    def arm(self, fault: Fault) -> Armed:
        """Arm a fault: from now on it may hit."""
        armed = Armed(f"{time.time_ns():020d}-{os.getpid()}-{next(_numbers)}", fault)
        fresh = self.directory / f".{armed.name}"
        fresh.write_text(json.dumps(asdict(fault)))
        fresh.rename(self._armed / armed.name)
        return armed

    def armed(self, kinds: Iterable[FaultKind]) -> list[Armed]:
        """The armed faults of these kinds, oldest first."""
        wanted = set(kinds)
        found = []
        for name in _names(self._armed):
            kind, _, identifier = name.partition(".")
            if kind in wanted:
                with suppress(FileNotFoundError):  # the fault was spent or cleared meanwhile
                    raw = json.loads((self._armed / name).read_text())
                    found.append(Armed(identifier, Fault(**raw | {"kind": FaultKind(kind)})))
        return sorted(found, key=lambda armed: armed.id)

    def is_armed(self, armed: Armed) -> bool:
        """Whether a fault is neither spent nor cleared."""
        return (self._armed / armed.name).exists()

    def meeting(
        self, kinds: Iterable[FaultKind], environment: str | None, service: str | None = None
    ) -> list[Armed]:
        """The armed faults of these kinds that are meant for this place, oldest first."""
        return [armed for armed in self.armed(kinds) if armed.fault.meets(environment, service)]

    def take(
        self, kinds: Iterable[FaultKind], environment: str | None, service: str | None = None
    ) -> Fault | None:
        """Claim a hit of the oldest fault that is meant for this place; the caller lets the returned fault happen."""
        for armed in self.meeting(kinds, environment, service):
            if self.hit(armed):
                return armed.fault
        return None

    def hit(self, armed: Armed) -> bool:
        """Claim one hit; False when the fault is spent or cleared. The last hit disarms the fault."""
        for number in range(1, armed.fault.times + 1):
            if not self.is_armed(armed):
                return False
            try:
                (self._hits / f"{armed.name}.{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            if number == armed.fault.times:
                self.disarm(armed)
            return True
        return False

    def disarm(self, armed: Armed) -> None:
        """Let a fault hit no more; the process that made its effect undoes it."""
        (self._armed / armed.name).unlink(missing_ok=True)

    def hits(self) -> Counter[FaultKind]:
        """How often each kind has hit since the platform came up."""
        return Counter(FaultKind(name.partition(".")[0]) for name in _names(self._hits))

    def clear(self) -> None:
        """Disarm every fault, and ask every effect to end."""
        for name in _names(self._armed):
            (self._armed / name).unlink(missing_ok=True)
        for name in _names(self._effects):
            (self._ends / name).touch()

    def group(self) -> Group:
        """The consumer group that Kafka's faults are for: the daemon's usual one until `concern` names another."""
        with suppress(FileNotFoundError):
            raw = json.loads((self.directory / "group.json").read_text())
            return Group(raw["id"], tuple(raw["topics"]))
        return Group()

    def concern(self, group: Group) -> None:
        """Make Kafka's faults hit this group."""
        fresh = self.directory / ".group.json"
        fresh.write_text(json.dumps(asdict(group)))
        fresh.rename(self.directory / "group.json")

    @contextmanager
    def lasting(self, armed: Armed, made: str = "") -> Iterator[Callable[[], bool]]:
        """Record an effect while it lasts; yields a function that says whether the effect is to end before its time.

        `made` says what there is to undo. After an error inside, an effect with a `made` stays recorded, so that the
        next process can undo it; an effect without one is over.
        """
        name = f"{armed.name}.{os.getpid()}-{next(_numbers)}"
        effect, end = self._effects / name, self._ends / name
        effect.write_text(made)
        undone = not made
        try:
            yield end.exists
            undone = True
        finally:
            if undone:
                effect.unlink(missing_ok=True)
            end.unlink(missing_ok=True)

    def effects(self, of: Collection[FaultKind] = frozenset(FaultKind)) -> dict[str, str]:
        """The effects that last now, by the names of their files: what was made."""
        names = [name for name in _names(self._effects) if name.partition(".")[0] in of]
        found = {}
        for name in sorted(names):
            with suppress(FileNotFoundError):  # the effect was undone meanwhile
                found[name] = (self._effects / name).read_text()
        return found

    def forget(self, name: str) -> None:
        """Remove the record of an effect that an earlier process left and that is undone now."""
        (self._effects / name).unlink(missing_ok=True)
        (self._ends / name).unlink(missing_ok=True)


def _names(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]
