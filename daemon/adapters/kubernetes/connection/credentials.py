"""Credentials that are rotated under a daemon that runs for months: looked at before each request, read again in time.

- Files are looked at every second: a kubeconfig, a token, certificates, an authority.
- What an `exec` plugin gave is asked for again before it expires.
- After a 401 all is read again, once.
- What can't be read for a moment (a file that is being replaced, a plugin that fails) leaves things as they were.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from daemon.adapters.kubernetes.connection.configuration import KubernetesSettings, Loaded, load
from daemon.ports.errors import PermanentError

_LOOK_SECONDS = 1.0
"""How often files are looked at."""
_PAUSE_SECONDS = 5.0
"""Between two readings that brought nothing new: an `exec` plugin may be slow, and counted by who issues tokens."""
_EARLY = timedelta(seconds=60)
"""How long before its end a token is renewed."""

log = structlog.get_logger()


class Credentials:
    """The present configuration of the connection, shared by its clients.

    Args:
        settings: Which cluster.
        loaded: What was read at first.
    """

    def __init__(self, settings: KubernetesSettings, loaded: Loaded) -> None:
        self.configuration = loaded.configuration
        self.generation = 0
        """Grows whenever other credentials, or another way to the server, were read."""
        self.connected: list[Callable[[], None]] = []
        """Called once connections have to be made anew."""
        self._settings = settings
        self._loaded = loaded
        self._connection = loaded.connection
        self._stamps = _stamps(loaded.files)
        self._looked = time.monotonic()
        self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def refresh(self) -> None:
        """Read the configuration again where it changed or is about to expire. Call before each request."""
        if not self._is_due():
            return
        tried = self._tried
        async with self._lock:
            if self._tried == tried:
                await self._read()

    async def renew(self, seen: int) -> bool:
        """Read the configuration again after a 401; tell whether it is worth asking once more.

        Args:
            seen: The generation with which the request was made that was refused.
        """
        async with self._lock:
            changed = _stamps(self._loaded.files) != self._stamps
            if self.generation == seen and (changed or time.monotonic() - self._tried >= _PAUSE_SECONDS):
                await self._read()
            return self.generation != seen

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            if _stamps(self._loaded.files) != self._stamps:
                return True
        expires = self._loaded.expires
        ends = expires is not None and datetime.now(UTC) >= expires - _EARLY
        return ends and now - self._tried >= _PAUSE_SECONDS

    async def _read(self) -> None:
        self._tried = time.monotonic()
        stamps = _stamps(self._loaded.files)
        try:
            loaded = await load(self._settings)
        except PermanentError as error:
            log.warning("kubernetes.credentials-kept", detail=error.detail)
            return
        if self._loaded.authorization and not loaded.authorization and not loaded.configuration.cert_file:
            log.warning("kubernetes.credentials-kept", detail="what was read again holds no credentials")
            return
        connection = loaded.connection
        changed = (
            loaded.authorization != self._loaded.authorization,
            connection != self._connection,
        )
        before = vars(self.configuration).copy()
        vars(self.configuration).update(vars(loaded.configuration))
        if changed[1]:
            try:
                for connect in self.connected:
                    connect()
            except (OSError, ValueError) as error:
                # Half of a pair of files was replaced: the other half comes in a moment.
                vars(self.configuration).update(before)
                log.warning("kubernetes.credentials-kept", detail=f"{type(error).__name__}: {error}")
                return
        self._loaded, self._connection, self._stamps = loaded, connection, stamps
        if any(changed):
            self.generation += 1
            log.info("kubernetes.credentials-renewed", connection=changed[1])


def _stamps(files: tuple[Path, ...]) -> tuple[object, ...]:
    """What tells whether files changed. A mounted Secret changes by its links, which are followed."""
    return tuple(_stamp(path) for path in files)


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
