"""Who lets faults happen that nobody runs into by himself: each waits for its moment in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.kinds import FaultKind
from sandbox.polling import LOOK_EVERY, wait_until

_ENDED_WITHIN = 30.0

Striker = Callable[[Armed], None]
"""Looks whether the moment has come; if so it lets the fault happen and counts it. Called again while it is armed."""


class Watch:
    """Serves the kinds that have a striker, in the process that can do it, from `start` to `stop`.

    A striker that raises one of `passing` (what it looks at is down at this moment) looks again; another error ends its
    thread, which says so, and takes the fault out.
    """

    def __init__(
        self,
        armoury: Armoury,
        strikers: Mapping[FaultKind, Striker],
        *,
        passing: tuple[type[Exception], ...] = (),
    ) -> None:
        self._armoury = armoury
        self._strikers = strikers
        self._passing = passing
        self._stopping = threading.Event()
        self._served: dict[str, threading.Thread] = {}
        self._looking = threading.Thread(target=self._look, name="faults", daemon=True)

    def start(self) -> None:
        """Serve what is armed from here on."""
        self._looking.start()

    def stop(self) -> None:
        """Nothing is armed any more, and what lasts is undone."""
        self._stopping.set()
        if self._looking.is_alive():
            self._looking.join(_ENDED_WITHIN)
        self._armoury.clear()
        for thread in self._served.values():
            thread.join(_ENDED_WITHIN)

    def _look(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            served = self._served
            self._served = {name: thread for name, thread in served.items() if thread.is_alive()}
            for armed in self._armoury.armed(self._strikers):
                if armed.id not in self._served:
                    thread = threading.Thread(target=self._serve, args=[armed], name=armed.name, daemon=True)
                    self._served[armed.id] = thread
                    thread.start()

    def _serve(self, armed: Armed) -> None:
        striker = self._strikers[armed.fault.kind]
        try:
            while self._armoury.is_armed(armed):
                with contextlib.suppress(*self._passing):
                    striker(armed)
                if self._stopping.wait(LOOK_EVERY):
                    return
        finally:
            self._armoury.disarm(armed)


def wait(seconds: float, is_to_end: Callable[[], bool]) -> None:
    """Until so many seconds have passed, or the fault is cleared."""
    wait_until(is_to_end, within=max(seconds, LOOK_EVERY))
