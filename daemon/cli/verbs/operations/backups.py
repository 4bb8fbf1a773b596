"""`resetd backups`: the backups that resets took."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from daemon.cli.client import client
from daemon.cli.durations import age
from daemon.cli.options import Yes, confirm
from daemon.cli.output import Format, Output, answer, listed, note, say

backups = typer.Typer(no_args_is_help=True, help="Backups that resets took.")


@backups.command("list")
def list_backups(
    reset: Annotated[str | None, typer.Option("--reset", metavar="ID", help="only of this reset")] = None,
    output: Output = Format.TABLE,
) -> None:
    """List backups, newest first."""
    with client() as daemon:
        rows = daemon.get("/backups", reset=reset)
    listed(
        rows,
        output,
        name=lambda row: row["path"],
        columns=(
            ("ID", lambda row: row["id"]),
            ("RESOURCE", lambda row: row["resource"]),
            ("RESET", lambda row: row["reset"]),
            ("AGE", lambda row: age(row["takenAt"])),
            ("BYTES", lambda row: row["sizeBytes"]),
            ("PROVEN", lambda row: row.get("proof", "read") if row["proven"] else "no"),
            ("PATH", lambda row: row["path"]),
        ),
        wide=(
            ("RESTORED", lambda row: age(row["proofAt"]) if row.get("proofAt") else "-"),
            ("SECONDS", lambda row: row.get("proofSeconds") or "-"),
            ("SHA256", lambda row: row["sha256"]),
        ),
        empty="no backups",
    )


@backups.command()
def show(
    backup: Annotated[int, typer.Argument(metavar="ID", help="of `resetd backups list`")],
    output: Output = Format.TABLE,
) -> None:
    """Show a backup with what its manifest says the dump holds."""
    with client() as daemon:
        found = daemon.get(f"/backups/{backup}")
    answer(found, output, names=[found["path"]], text=lambda: _say(found))


@backups.command()
def verify(
    backup: Annotated[int, typer.Argument(metavar="ID", help="of `resetd backups list`")],
    output: Output = Format.TABLE,
) -> None:
    """Read a dump through once more: size, SHA-256 and rows have to be what they were. Ends with 3 where not."""
    with client() as daemon:
        found = daemon.post(f"/backups/{backup}/verify", {})
    answer(
        found,
        output,
        names=[found["path"]],
        text=lambda: say(
            f"{found['path']} is whole: {found['sizeBytes']} bytes, sha256 {found['sha256']}, "
            f"read in {found['seconds']:g} s"
        ),
    )


@backups.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only name what would go")] = False,
    yes: Yes = False,
    output: Output = Format.TABLE,
) -> None:
    """Remove the dumps that the retention lets go, now. The daemon does it by itself, too."""
    with client() as daemon:
        rows = daemon.post("/backups/prune", {"dryRun": True})
        if rows and not dry_run:
            note("".join(f"{row['path']}\n" for row in rows).rstrip())
            confirm(f"Remove these {len(rows)} dumps for good?", yes=yes)
            rows = daemon.post("/backups/prune", {})
    listed(
        rows,
        output,
        name=lambda row: row["path"],
        columns=(
            ("RESOURCE", lambda row: row["resource"]),
            ("AGE", lambda row: age(row["takenAt"])),
            ("REMOVED", lambda row: "yes" if row["removed"] else "no"),
            ("PATH", lambda row: row["path"]),
        ),
        empty="nothing may go",
    )


def _say(found: dict[str, Any]) -> None:
    for title, name in (
        ("path", "path"),
        ("resource", "resource"),
        ("environment", "environment"),
        ("taken at", "takenAt"),
        ("bytes", "sizeBytes"),
        ("sha256", "sha256"),
    ):
        say(f"{title:<12}{found[name]}")
    say(f"{'proven':<12}{'yes' if found['proven'] else 'no'}")
    say(f"{'way back':<12}{'to before its reset destroyed anything' if found['first'] else 'no'}")
    if found["manifest"] is None:
        say("manifest    gone from the store")
        return
    rows = found["manifest"].get("rows") or {}
    say(f"{'tables':<12}{len(rows)}, {sum(rows.values())} rows")
