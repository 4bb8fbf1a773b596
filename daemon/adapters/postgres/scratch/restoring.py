"""Restores a dump into an empty scratch database: all of its data and definitions, as the account's own."""

from __future__ import annotations

import re
from tempfile import NamedTemporaryFile

from daemon.adapters.postgres.errors import one_line, program_error
from daemon.adapters.postgres.programs import Programs
from daemon.adapters.postgres.reading import reading
from daemon.adapters.postgres.restoring import Dump
from daemon.adapters.postgres.urls import Address
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason

# Owners, rights, comments and labels are nobody's there. What would act by itself, or log in elsewhere, stays out.
_LEAVING_OUT = (
    "--no-owner",
    "--no-acl",
    "--no-comments",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
)
_ACTING = re.compile(r"^\d+; \d+ \d+ (EVENT TRIGGER|USER MAPPING) ")


async def restore_scratch(programs: Programs, dump: Dump, where: Address) -> None:
    """Restore a dump; the first error ends it.

    Raises:
        PermanentError: `backup-unproven`: the dump can't be read to its end, or not be restored.
        TemporaryError: `database-unreachable`: the scratch server went away; `backup-failed`: its disk is full.
    """
    async with dump.open() as read, reading([programs["pg_restore"], "--list"], read) as lister:
        listing = (await lister.stdout.read()).decode("utf-8", "replace")
        said, code = await lister.errors(), await lister.wait()
    if code != 0:
        raise _unproven(dump, said)
    with NamedTemporaryFile("w", encoding="utf-8", prefix="resetd-", suffix=".list") as chosen:
        chosen.write("".join(f"{line}\n" for line in listing.splitlines() if not _ACTING.match(line)))
        chosen.flush()
        argv = [
            programs["pg_restore"],
            "--exit-on-error",
            "--no-password",
            *_LEAVING_OUT,
            f"--use-list={chosen.name}",
            f"--dbname={where.conninfo()}",
        ]
        async with dump.open() as read, reading(argv, read, where) as restoring:
            said = await restoring.errors()
            code = await restoring.wait()
    if code == 0:
        return
    error = program_error(where, "pg_restore", said)
    if isinstance(error, TemporaryError):
        raise error
    raise _unproven(dump, where.without_secret(said))


def _unproven(dump: Dump, message: str) -> PermanentError:
    return PermanentError(
        Reason.BACKUP_UNPROVEN,
        f"{dump.name} can't be restored: {one_line(message)}",
        hint="Nothing was destroyed. See what the scratch server lacks (an extension, a role that a policy names), "
        "or whether the store harms what it keeps; then resume: it dumps again.",
    )
