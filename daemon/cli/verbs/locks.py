"""`resetd locks`: list who holds which lock, and who waits."""

from __future__ import annotations

from daemon.cli.client import client
from daemon.cli.durations import age
from daemon.cli.output import Format, Output, listed


def locks(output: Output = Format.TABLE) -> None:
    """List locks: who holds each, who waits for it behind whom, and since when."""
    with client() as daemon:
        rows = daemon.get("/locks")
    names = {row["resetId"]: row["reference"] for row in rows}
    listed(
        rows,
        output,
        name=lambda row: row["key"],
        columns=(
            ("RESOURCE", lambda row: row["key"]),
            ("ENVIRONMENT", lambda row: row["environment"]),
            ("RESET", lambda row: row["reference"]),
            ("HELD", lambda row: "held" if row["granted"] else "waits"),
            ("SINCE", lambda row: age(row["since"])),
            ("BEHIND", lambda row: ", ".join(names.get(reset_id, reset_id) for reset_id in row["waitsFor"])),
        ),
        wide=(("TICKET", lambda row: row["ticket"]), ("ID", lambda row: row["resetId"])),
        empty="no locks",
    )
