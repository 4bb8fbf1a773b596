"""`resetd serve` that kills itself (SIGKILL) right after chosen commits, each once.

`CRASH_DIRECTORY` names a directory. A file `after-STATE` there means: the commit that puts a reset into STATE is
durable, and before anything else happens the process is gone. The file is removed first, so that the next
start comes past that point. The daemon under test is the real one; only the moment of its death is chosen.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, cast

from daemon.bootstrap import serve
from daemon.config.logging import set_up
from daemon.config.settings import load
from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store
from schemas.intake import Admission
from schemas.resets import Reset


class CrashingStore:
    """In front of the real store; what is not named here goes straight through."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)

    async def save(self, change: Change) -> Reset:
        stored = await self._store.save(change)
        if change.history:
            self._crash_after(stored)
        return stored

    async def take_in(self, *args: Any, **kwargs: Any) -> tuple[Admission, ...]:  # noqa: ANN401
        admissions = await self._store.take_in(*args, **kwargs)
        for one in admissions:
            self._crash_after(one.reset)
        return admissions

    def _crash_after(self, reset: Reset) -> None:
        wanted = self._directory / f"after-{reset.state.value}"
        if wanted.exists():
            wanted.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    directory = Path(os.environ["CRASH_DIRECTORY"])
    settings = load()
    set_up(settings.log_format, settings.log_level)
    asyncio.run(serve(settings, store_as=lambda store: cast("Store", CrashingStore(store, directory))))


if __name__ == "__main__":
    main()
