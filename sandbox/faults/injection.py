"""Injects faults that happen to a server from outside; each fault waits for its moment in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.kinds import FaultKind
from sandbox.polling import POLL_SECONDS, wait_until

_ENDED_WITHIN = 30.0

Injector = Callable[[Armed], None]
"""Lets a fault happen and counts it, if its moment has come. It is called again while the fault is armed."""


class Injection:
    """Injects the faults of some kinds from `start` to `stop`, in the process that has the means.

    An injector that raises one of `passing` is called again: the server that it looks at is down for the moment. Any
    other error ends the injector's thread, which reports it, and disarms the fault.
    """

    def __init__(
        self,
        armoury: Armoury,
        injectors: Mapping[FaultKind, Injector],
        *,
        passing: tuple[type[Exception], ...] = (),
    ) -> None:
        self._armoury = armoury
        self._injectors = injectors
        self._passing = passing
        self._stopping = threading.Event()
        self._served: dict[str, threading.Thread] = {}
        self._looking = threading.Thread(target=self._look, name="faults", daemon=True)

    def start(self) -> None:
        """Inject what is armed from here on."""
        self._looking.start()

    def stop(self) -> None:
        """Disarm every fault, and wait until the effects are undone."""
        self._stopping.set()
        if self._looking.is_alive():
            self._looking.join(_ENDED_WITHIN)
        self._armoury.clear()
        for thread in self._served.values():
            thread.join(_ENDED_WITHIN)

    def _look(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            served = self._served
            self._served = {name: thread for name, thread in served.items() if thread.is_alive()}
            for armed in self._armoury.armed(self._injectors):
                if armed.id not in self._served:
                    thread = threading.Thread(target=self._serve, args=[armed], name=armed.name, daemon=True)
                    self._served[armed.id] = thread
                    thread.start()

    def _serve(self, armed: Armed) -> None:
        injector = self._injectors[armed.fault.kind]
        try:
            while self._armoury.is_armed(armed):
                with contextlib.suppress(*self._passing):
                    injector(armed)
                if self._stopping.wait(POLL_SECONDS):
                    return
        finally:
            self._armoury.disarm(armed)


def wait(seconds: float, is_to_end: Callable[[], bool]) -> None:
    """Wait until so many seconds have passed or the fault is cleared; at least until the next look."""
    wait_until(is_to_end, within=max(seconds, POLL_SECONDS))
