"""Who looked at what, and when: nobody can look and launch in one moment, so what came in between nobody could see."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.quiescing import ObjectRef


@dataclass
class Looks:
    """Moments are numbers that grow with all that happens; a worker is the name of one boot of it."""

    scaled_up: dict[ObjectRef, int] = field(default_factory=dict)
    """When somebody scaled it up by hand last."""
    _looked: dict[tuple[str, ObjectRef], int] = field(default_factory=dict)
    _launched: dict[str, set[str]] = field(default_factory=dict)

    def look(self, worker: str, target: ObjectRef, moment: int) -> None:
        """A worker sends the question whether an object is at rest."""
        self._looked[worker, target] = moment

    def launch(self, worker: str, attempt: str) -> None:
        """A worker sends the launch of an attempt; so may another one, and the first that arrives takes effect."""
        self._launched.setdefault(attempt, set()).add(worker)

    def could_see(self, attempt: str, target: ObjectRef) -> bool:
        """Whether all that launched the attempt asked about the object after it was scaled up by hand."""
        scaled = self.scaled_up.get(target)
        if scaled is None:
            return True
        asked = [self._looked.get((worker, target)) for worker in self._launched.get(attempt, ())]
        return all(moment is not None and moment > scaled for moment in asked)
