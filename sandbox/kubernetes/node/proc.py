"""Facts about processes from /proc, by the host's numbers of the processes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None for one that is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def gone(pid: int, ticks: int) -> None:
    """Wait until the process that started at `ticks` has ended; it need not be a child of this one."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if start_ticks(pid) == ticks:
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[None] = loop.create_future()
            loop.add_reader(descriptor, _resolve, ended)
            try:
                await ended
            finally:
                loop.remove_reader(descriptor)
    finally:
        os.close(descriptor)


def children(pid: int) -> list[int]:
    """The children of a process; none when the process is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def environment_of(pid: int) -> list[bytes]:
    """The variables that a process was started with, each `NAME=value`; none when they can't be read."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and was not collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
