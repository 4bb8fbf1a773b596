"""What is armed and what has hit: files in one directory, which every process of the platform reads and writes.

    armed/KIND.ID       a fault as JSON; ID grows with time. Gone once it is spent or cleared
    hits/KIND.ID.N      its N-th hit, claimed by making the file: who makes it lets the fault happen, nobody else
    effects/KIND.ID     it lasts at this moment; whoever made it takes the file away when it is undone

So a fault survives the kill of the process that has it, several processes may serve one kind, and nothing is counted
that did not happen.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
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


class Armoury:
    """The directory; made when the first one opens it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._armed = directory / "armed"
        self._hits = directory / "hits"
        self._effects = directory / "effects"
        for one in (self._armed, self._hits, self._effects):
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
        for name in os.listdir(self._armed):
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
        return Counter(FaultKind(name.partition(".")[0]) for name in os.listdir(self._hits))

    def disarm_all(self) -> None:
        """Nothing is armed any more."""
        for name in os.listdir(self._armed):
            (self._armed / name).unlink(missing_ok=True)

    @contextmanager
    def lasting(self, armed: Armed) -> Iterator[None]:
        """Around what a fault makes and undoes again."""
        file = self._effects / armed.name
        file.touch()
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def effects(self) -> list[str]:
        """Names of the faults that last at this moment."""
        return sorted(os.listdir(self._effects))
