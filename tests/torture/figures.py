"""The figures of rounds: one JSON line for each piece, and the sum of pieces as one table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.torture.judge.finding import RULES
from tests.torture.judge.judge import Verdict

_COUNTED = ("resets", "seen", "armed", "faults", "findings")
_MUST_BE_ZERO = tuple(dict.fromkeys(RULES.values()))


@dataclass
class Figures:
    """The figures of a number of rounds.

    `findings` counts the findings by the line of the table; `failed` names the rounds with findings.
    """

    rounds: int = 0
    seconds: float = 0.0
    kills: int = 0
    stops: int = 0
    resets: Counter[str] = field(default_factory=Counter)
    launches: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    unknown_but_known: int = 0
    armed: Counter[str] = field(default_factory=Counter)
    """The faults that the scripts armed, by kind."""
    faults: Counter[str] = field(default_factory=Counter)
    """The faults that hit, by kind."""
    findings: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def take(self, name: str, verdict: Verdict) -> None:
        """Add the verdict on a round of this name."""
        self.rounds += 1
        self.resets += verdict.states
        self.launches += verdict.launches
        self.seen += verdict.seen
        self.unknown += verdict.unknown
        self.unknown_but_known += verdict.unknown_but_known
        self.findings.update(finding.line for finding in verdict.findings)
        if verdict.findings:
            self.failed.append(name)

    def add(self, other: Figures) -> None:
        """Add the figures of another piece."""
        for name in ("rounds", "seconds", "kills", "stops", "launches", "unknown", "unknown_but_known"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for counted in _COUNTED:
            getattr(self, counted).update(getattr(other, counted))
        self.failed += other.failed

    @property
    def well(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def lines(self) -> list[str]:
        """The lines of the table, for people."""
        rows: list[tuple[str, object]] = [
            ("rounds", self.rounds),
            ("seconds", f"{self.seconds:.0f}"),
            ("kills (SIGKILL)", self.kills),
            ("stops (SIGSTOP past the lease)", self.stops),
            ("resets", sum(self.resets.values())),
            *((f"  {state}", number) for state, number in sorted(self.resets.items())),
            ("commands launched", self.launches),
            *sorted(self.seen.items()),
            ("faults that hit", f"{sum(self.faults.values())} of {sum(self.armed.values())} armed"),
            *((f"  {kind}", f"{self.faults[kind]} of {self.armed[kind]}") for kind in sorted(self.armed)),
            ("outcomes called unknown", self.unknown),
            *((line, self.findings[line]) for line in dict.fromkeys((*_MUST_BE_ZERO, *self.findings))),
        ]
        return [f"{name:<44} {value}" for name, value in rows]

    def append_to(self, file: Path) -> None:
        """Append the figures to a file, as one JSON line."""
        with file.open("a") as out:
            out.write(json.dumps(vars(self)) + "\n")


def read(files: Iterable[Path]) -> Figures:
    """Read these files and add up all their pieces."""
    total = Figures()
    for file in files:
        for line in file.read_text().splitlines():
            raw: dict[str, Any] = {"armed": {}} | json.loads(line)
            for name in _COUNTED:
                raw[name] = Counter(raw[name])
            total.add(Figures(**raw))
    return total
