"""The fault of a full disk in a dump: a `pg_dump` for RESETD_PG_BIN that has no room for a byte while it is armed.

The real pg_dump runs, but with /dev/full as its file, which answers each write with ENOSPC. The program has a directory
of its own, with links to the other programs beside it.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from sandbox.faults.armoury import Armoury
from sandbox.faults.kinds import FaultKind

_KIND = FaultKind.POSTGRES_DISK_FULL_IN_DUMP
# Python starts only when such a fault is armed, because its start takes longer than a dump.
_SCRIPT = """#!/bin/sh
for armed in {armed}/{kind}.*; do
    [ -e "$armed" ] && exec {python} -m sandbox.postgres.dump_faults {faults} {environments} {real} "$@"
done
exec {real} "$@"
"""


def make(directory: Path, *, faults: Path, environments: Path, programs: Path) -> None:
    """Make the directory for RESETD_PG_BIN.

    `environments` is the platform's file of variables, `programs` the directory with the real programs.
    """
    directory.mkdir()
    for name in ("pg_restore", "psql"):
        (directory / name).symlink_to(programs / name)
    named = {
        "armed": faults / "armed",
        "kind": _KIND,
        "python": sys.executable,
        "faults": faults,
        "environments": environments,
        "real": programs / "pg_dump",
    }
    script = directory / "pg_dump"
    script.write_text(_SCRIPT.format(**{name: shlex.quote(str(value)) for name, value in named.items()}))
    script.chmod(0o755)


def meant_for(environments: Path, database: str) -> list[tuple[str, str]]:
    """The pairs (environment, service) whose variables lead to the database of this conninfo string."""
    where = conninfo_to_dict(database)
    wanted = (str(where.get("host")), int(where.get("port") or 5432), str(where.get("dbname")))
    found = []
    for environment, services in json.loads(environments.read_text()).items():
        for service, variables in services.items():
            for value in variables.values():
                url = urlsplit(value)
                if (url.hostname, url.port, url.path.removeprefix("/")) == wanted:
                    found.append((environment, service))
    return found


def main(faults: Path, environments: Path, real: str, arguments: list[str]) -> NoReturn:
    """Become the real pg_dump; its file is /dev/full when a fault is meant for its database."""
    of = {name: value for name, _, value in (argument.partition("=") for argument in arguments)}
    if "--file" in of:
        armoury = Armoury(faults)
        for environment, service in meant_for(environments, of.get("--dbname", "")):
            if armoury.take([_KIND], environment, service) is not None:
                arguments = [a for a in arguments if not a.startswith("--file=")] + ["--file=/dev/full"]
                break
    os.execv(real, [real, *arguments])  # noqa: S606 - the program that this one replaces


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
