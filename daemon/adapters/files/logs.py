"""Kept output as files: `{directory}/{reset}/{step}/{n}.log`, byte for byte at the command's own offsets."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from daemon.ports.errors import TemporaryError
from daemon.ports.logs import MARKER
from daemon.redaction import redact_in_place
from daemon.redaction.open_ends import joined, masked_end, open_end
from schemas.reasons import Reason
from schemas.wire import AttemptId, ResetId, Time

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_LIMIT = 16 * 1024 * 1024
"""Bytes kept for one attempt."""

log = structlog.get_logger()

_CUT = MARKER + b"the output went on; it was not kept]\n"
_REDACTION_WINDOW_BYTES = 16 * 1024
"""How far back a secret is searched that came in two pieces."""
_TAIL_WINDOW_BYTES = 256 * 1024
_PATH_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")


class FileLogs:
    """Implements `daemon.ports.logs.Logs` in a directory.

    - Secrets are overwritten in place before anything is written, so that no offset moves. What may be the first part
      of one is written once more of it came.
    - A write goes to a fixed offset of the file, so that a second writer of the same output does no harm.
    - Nothing is synced to the disk: after a crash of the machine the output is read again from the pod.
    """

    def __init__(self, directory: Path, *, limit: int = DEFAULT_LIMIT) -> None:
        self._directory = directory
        self._limit = limit
        self._held: dict[AttemptId, tuple[int, bytes]] = {}
        """What is held back of an output: where it begins, and what it is. In memory only: after a restart it is read
        again from the pod."""
        self._given: dict[AttemptId, int] = {}
        """Where the output ends that the disk did not take. A process that starts anew does not know it; but it has not
        seen the end of the attempt, and reads the output again from where the file ends."""

    async def keep(self, attempt: AttemptId, offset: int, data: bytes) -> None:
        """See the port. A gap, which is output that never came, is filled with a marker of the same length."""
        path = self._path(attempt)
        try:
            await _in_thread(self._keep, attempt, path, offset, data)
        except TemporaryError as error:
            self._not_kept(attempt, offset + len(data), error)

    async def settle(self, attempt: AttemptId) -> None:
        """See the port."""
        held = self._held.get(attempt)
        if held is None:
            return
        start, data = held
        try:
            await _in_thread(self._write_held, attempt, self._path(attempt))
        except TemporaryError as error:
            self._not_kept(attempt, start + len(data), error)

    async def read(self, attempt: AttemptId, offset: int, limit: int) -> bytes:
        """See the port."""
        return await _in_thread(_read, self._path(attempt), offset, limit)

    async def tail(self, attempt: AttemptId, lines: int) -> str:
        """See the port. It reads the last 256 KiB at most."""
        path = self._path(attempt)
        size = await _in_thread(_size, path)
        data = await _in_thread(_read, path, max(0, size - _TAIL_WINDOW_BYTES), _TAIL_WINDOW_BYTES)
        return "\n".join(data.decode(errors="replace").splitlines()[-lines:] if lines > 0 else [])

    async def whole(self, attempt: AttemptId) -> tuple[str, bool]:
        """See the port."""
        data = await _in_thread(_read, self._path(attempt), 0, self._limit + len(_CUT))
        return data.decode(errors="replace"), MARKER not in data and len(data) >= self._given.get(attempt, 0)

    async def size(self, attempt: AttemptId) -> int:
        """See the port."""
        return await _in_thread(_size, self._path(attempt))

    async def untouched_since(self, before: Time) -> Sequence[ResetId]:
        """See the port."""
        return await _in_thread(_untouched, self._directory, before.timestamp())

    async def forget(self, reset_id: ResetId) -> None:
        """See the port."""
        if not _PATH_SEGMENT.fullmatch(reset_id):
            raise ValueError(f"not a reset's id: {reset_id!r}")
        for attempt in [each for each in self._held if each.partition("/")[0] == reset_id]:
            del self._held[attempt]
        await _in_thread(_remove, self._directory / reset_id)

    def _path(self, attempt: AttemptId) -> Path:
        parts = attempt.split("/")
        if not all(_PATH_SEGMENT.fullmatch(part) for part in parts):
            raise ValueError(f"not an attempt's id: {attempt!r}")
        return self._directory.joinpath(*parts[:-1], f"{parts[-1]}.log")

    def _not_kept(self, attempt: AttemptId, end: int, error: TemporaryError) -> None:
        if attempt not in self._given:
            log.warning("logs.not-kept", attempt=attempt, detail=error.detail)
        self._given[attempt] = max(end, self._given.get(attempt, 0))

    def _keep(self, attempt: AttemptId, path: Path, offset: int, data: bytes) -> None:
        held = self._held.get(attempt)
        if held is not None and offset > held[0] + len(held[1]):
            self._write_held(attempt, path)
            held = None
        if held is not None:
            offset, data = joined(held, offset, data)
        left = self._write(path, offset, data, over=False)
        self._held.pop(attempt, None)
        if left is not None:
            self._held[attempt] = left

    def _write_held(self, attempt: AttemptId, path: Path) -> None:
        self._write(path, *self._held.pop(attempt), over=True)

    def _write(self, path: Path, offset: int, data: bytes, *, over: bool) -> tuple[int, bytes] | None:
        """Write output, and return what is held back of it: (offset, bytes). Where it is `over` nothing is."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = os.fstat(file).st_size
            if size >= self._limit or offset + len(data) <= size:
                return None
            new = data[size - offset :] if offset <= size else _gap(offset - size, self._limit - size) + data
            start = max(0, size - _REDACTION_WINDOW_BYTES)
            known = os.pread(file, size - start, start)
            whole = known + new
            end = len(whole) if over else max(len(known), open_end(whole))
            # Masked before it is cut: a part of a secret would have no shape.
            kept = redact_in_place(masked_end(whole) if over else whole[:end])
            if start + len(kept) > self._limit:
                _write(file, kept[: self._limit - start] + _CUT, start)
                return None
            _write(file, kept, start)
            return (start + end, whole[end:]) if end < len(whole) else None
        finally:
            os.close(file)


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as error:
        raise TemporaryError(Reason.UNAVAILABLE, f"kept output: {error.strerror}") from error


def _gap(length: int, room: int) -> bytes:
    """Return a marker for missing bytes, of their length, or of what room there is."""
    marker = MARKER + f"{length} bytes of output are missing here]\n".encode()
    return marker[: min(length, room)].ljust(min(length, room), b"\n")


def _write(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def _read(path: Path, offset: int, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""


def _untouched(directory: Path, before: float) -> list[ResetId]:
    if not directory.is_dir():
        return []
    kept = [each for each in directory.iterdir() if each.is_dir() and _PATH_SEGMENT.fullmatch(each.name)]
    return sorted(ResetId(each.name) for each in kept if _last_written(each) < before)


def _last_written(directory: Path) -> float:
    # A file that is appended to changes no directory.
    return max(path.stat().st_mtime for path in (directory, *directory.rglob("*")))


def _remove(directory: Path) -> None:
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        return


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
