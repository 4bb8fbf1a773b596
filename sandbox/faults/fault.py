"""One fault to arm."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.faults.kinds import FaultKind


@dataclass(frozen=True)
class Fault:
    """A fault to arm: what goes wrong, where, and how often.

    Args:
        kind: What goes wrong.
        environment: Where it goes wrong, such as `qa-sandbox`; None: anywhere. Kafka and the state database have no
            environments: of their faults only `kafka-duplicate-delivery` looks at it.
        service: In which service's pods or databases; None: in any. Faults of execs, pods and databases look at it.
        times: After so many hits the fault is spent, and what it made is undone.
        seconds: How long a lasting fault lasts, or how late a delayed one is; None: what docs/faults.md says.

    Raises:
        ValueError: `times` below 1, or `seconds` below 0.
    """

    kind: FaultKind
    environment: str | None = None
    service: str | None = None
    times: int = 1
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.times < 1 or (self.seconds is not None and self.seconds < 0):
            raise ValueError(f"{self.kind}: times is at least 1, seconds at least 0")

    def seconds_or(self, usual: float) -> float:
        """`seconds`, or `usual` where the fault does not say."""
        return usual if self.seconds is None else self.seconds

    def meets(self, environment: str | None, service: str | None = None) -> bool:
        """Whether the fault is meant for this place. None, where the place does not know its name, fits any fault."""
        return (self.environment is None or environment in {None, self.environment}) and (
            self.service is None or service in {None, self.service}
        )
