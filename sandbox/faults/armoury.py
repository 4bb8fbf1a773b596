"""What is armed and what has hit: files in one directory, which every process of the platform reads and writes.

    armed/KIND.ID       a fault as JSON; ID grows with time. Gone once it is spent or cleared
    hits/KIND.ID.N      its N-th hit, claimed by making the file: who makes it lets the fault happen, nobody else
    effects/KIND.ID.M   it lasts at this moment, and says what was made; gone when that is undone
    ends/KIND.ID.M      it is to be undone before its time

So a fault survives the kill of the process that has it, several processes may serve one kind, and nothing is counted
that did not happen.
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
    """A fault under its id."""

    id: str
    fault: Fault

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.fault.kind}.{self.id}"


@dataclass(frozen=True)
class Group:
    """The consumer group of the daemon that faults are for, and the topics that it reads."""

    id: str = "resetd"
    topics: tuple[str, ...] = ("fuse.environment-resets.requests.v1", "fuse.environments.v1")


class Armoury:
    """The directory; made when the first one opens it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._armed = directory / "armed"
        self._hits = directory / "hits"
        self._effects = directory / "effects"
        self._ends = directory / "ends"
        for one in (self._armed, self._hits, self._effects, self._ends):
            one.mkdir(parents=True, exist_ok=True)

    def arm(self, fault: Fault) -> Armed:
        """Store a fault, from which moment on it may hit."""
        armed = Armed(f"{time.time_ns():020d}-{os.getpid()}-{next(_numbers)}", fault)
        fresh = self.directory / f".{armed.name}"
        fresh.write_text(json.dumps(asdict(fault)))
        fresh.rename(self._armed / armed.name)
        return armed

    def armed(self, kinds: Iterable[FaultKind]) -> list[Armed]:
        """The faults of these kinds that are not spent, oldest first."""
        wanted = set(kinds)
        found = []
        for name in _names(self._armed):
            kind, _, identifier = name.partition(".")
            if kind in wanted:
                with suppress(FileNotFoundError):  # spent or cleared meanwhile
                    raw = json.loads((self._armed / name).read_text())
                    found.append(Armed(identifier, Fault(**raw | {"kind": FaultKind(kind)})))
        return sorted(found, key=lambda one: one.id)

    def is_armed(self, armed: Armed) -> bool:
        """Whether it is neither spent nor cleared."""
        return (self._armed / armed.name).exists()

    def meeting(
        self, kinds: Iterable[FaultKind], environment: str | None, service: str | None = None
    ) -> list[Armed]:
        """Those of `armed` that are meant for this place."""
        return [one for one in self.armed(kinds) if one.fault.meets(environment, service)]

    def take(
        self, kinds: Iterable[FaultKind], environment: str | None, service: str | None = None
    ) -> Fault | None:
        """Claim a hit of the oldest fault that is meant for this place: whoever gets one lets it happen."""
        for armed in self.meeting(kinds, environment, service):
            if self.hit(armed):
                return armed.fault
        return None

    def hit(self, armed: Armed) -> bool:
        """Claim one hit; False when the fault is spent or cleared. The last one takes it out of `armed`."""
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
        """It hits no more; what it has made is undone by whoever made it."""
        (self._armed / armed.name).unlink(missing_ok=True)

    def hits(self) -> Counter[FaultKind]:
        """How often each kind has hit since the platform came up."""
        return Counter(FaultKind(name.partition(".")[0]) for name in _names(self._hits))

    def clear(self) -> None:
        """Nothing is armed any more, and what lasts is asked to end."""
        for name in _names(self._armed):
            (self._armed / name).unlink(missing_ok=True)
        for name in _names(self._effects):
            (self._ends / name).touch()

    def group(self) -> Group:
        """Which consumer group Kafka's faults are for; the usual one until `concern` says another."""
        with suppress(FileNotFoundError):
            raw = json.loads((self.directory / "group.json").read_text())
            return Group(raw["id"], tuple(raw["topics"]))
        return Group()

    def concern(self, group: Group) -> None:
        """Kafka's faults are for this group."""
        fresh = self.directory / ".group.json"
        fresh.write_text(json.dumps(asdict(group)))
        fresh.rename(self.directory / "group.json")

    @contextmanager
    def lasting(self, armed: Armed, made: str = "") -> Iterator[Callable[[], bool]]:
        """Around what a fault makes and undoes again; `made` tells the next life of this process what there is to undo.

        Yields a question: is it to end before its time? An error in between leaves the effect for that next life; what
        says nothing of itself is over with the error, too.
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
        """What lasts at this moment, by the names of its files: what was made."""
        names = [name for name in _names(self._effects) if name.partition(".")[0] in of]
        found = {}
        for name in sorted(names):
            with suppress(FileNotFoundError):  # undone meanwhile
                found[name] = (self._effects / name).read_text()
        return found

    def forget(self, name: str) -> None:
        """An effect of an earlier life of this process is undone."""
        (self._effects / name).unlink(missing_ok=True)
        (self._ends / name).unlink(missing_ok=True)


def _names(directory: Path) -> list[str]:
    return [one.name for one in directory.iterdir()]
