"""`resetd environments`: list the environments of the cluster."""

from __future__ import annotations

from daemon.cli.client import Json, client
from daemon.cli.output import Format, Output, listed


def environments(output: Output = Format.TABLE) -> None:
    """List environments, and what runs and waits in each."""
    with client() as daemon:
        rows = daemon.get("/environments")
    listed(
        rows,
        output,
        name=lambda row: row["name"],
        columns=(
            ("ENVIRONMENT", lambda row: row["name"]),
            ("PROTECTED", lambda row: "yes" if row["protected"] else ""),
            ("RUNNING", lambda row: _short(row["running"])),
            ("WAITING", lambda row: len(row["queue"]) or ""),
            ("LAST", lambda row: _short(row["last"])),
        ),
        wide=(("LOCKS", lambda row: ", ".join(lock["key"] for lock in row["locks"] if lock["granted"])),),
        empty="no environments",
    )


def _short(reset: Json | None) -> str:
    return f"{reset['reference']} {reset['state']}" if reset else ""
