"""`resetd doctor`: examine an environment."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import Json, client
from daemon.cli.exit_codes import Exit
from daemon.cli.output import Format, Output, answer, note, say, table


def doctor(
    environment: Annotated[str, typer.Argument(metavar="ENV")],
    output: Output = Format.TABLE,
) -> None:
    """Examine an environment as the guide's troubleshooting does. The exit code is 1 when something is wrong."""
    with client() as daemon:
        report = daemon.post(f"/environments/{environment}/doctor")
    findings = report["findings"]
    answer(
        report,
        output,
        names=[f"{finding['check']}/{finding['subject']}" for finding in findings],
        text=lambda: _show(findings, all_outputs=output is Format.WIDE),
    )
    if not report["healthy"]:
        raise typer.Exit(Exit.FAILED)


def _show(findings: list[Json], *, all_outputs: bool) -> None:
    table(
        ["CHECK", "SUBJECT", "FOUND", "DETAIL"],
        [[finding["check"], finding["subject"], finding["level"], finding["detail"]] for finding in findings],
    )
    for finding in findings:
        if finding["level"] in {"failed", "unknown"} or all_outputs:
            _explain(finding)


def _explain(finding: Json) -> None:
    if finding["output"]:
        say(f"\n{finding['check']} of {finding['subject']}:")
        for line in finding["output"].splitlines():
            say(f"  {line}")
    if finding["hint"]:
        note(f"{finding['subject']}: {finding['hint']}")
