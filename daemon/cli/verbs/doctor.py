"""`resetd doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import Json, client
from daemon.cli.exit_codes import Exit
from daemon.cli.output import Format, Output, note, say, structured, table


def doctor(
    environment: Annotated[str, typer.Argument(metavar="ENV")],
    output: Output = Format.TABLE,
) -> None:
    """Look at an environment as the guide's troubleshooting does; exit code 1 when something is wrong."""
    with client() as daemon:
        report = daemon.post(f"/environments/{environment}/doctor")
    if output is Format.NAME:
        for one in report["findings"]:
            say(f"{one['check']}/{one['subject']}")
    elif not structured(report, output):
        findings = report["findings"]
        table(
            ["CHECK", "SUBJECT", "FOUND", "DETAIL"],
            [[one["check"], one["subject"], one["level"], one["detail"]] for one in findings],
        )
        for one in findings:
            if one["level"] in {"failed", "unknown"} or output is Format.WIDE:
                _explain(one)
    if not report["healthy"]:
        raise typer.Exit(Exit.FAILED)


def _explain(finding: Json) -> None:
    if finding["output"]:
        say(f"\n{finding['check']} of {finding['subject']}:")
        for line in finding["output"].splitlines():
            say(f"  {line}")
    if finding["hint"]:
        note(f"{finding['subject']}: {finding['hint']}")
