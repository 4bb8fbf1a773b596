"""Reading: resets, environments, locks, backups, dead letters, the doctor, and who one is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from daemon.cli.durations import moment_of
from daemon.cli.exit_codes import Exit
from daemon.cli.output import Format, Output, listed, note, say, structured, table
from daemon.cli.reset_output import RESET_COLUMNS, RESET_WIDE, age, show_plan, show_reset
from daemon.cli.run import Reference, client
from schemas.resets import ResetState

backups = typer.Typer(no_args_is_help=True, help="Backups that resets took.")
dead_letters = typer.Typer(no_args_is_help=True, help="Records that could not be read.")
auth = typer.Typer(no_args_is_help=True, help="The token in use.")
Json = dict[str, Any]
_PAGE = 200


def list_resets(
    environment: Annotated[
        str | None, typer.Argument(metavar="[ENV]", help="only of this environment")
    ] = None,
    state: Annotated[
        list[ResetState] | None, typer.Option("--state", help="only in it; may be repeated")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """List resets, newest first."""
    rows: list[Json] = []
    cursor: str | None = None
    with client() as daemon:
        while len(rows) < limit:
            page = daemon.get(
                "/resets",
                environment=environment,
                state=[one.value for one in state] if state else None,
                limit=min(_PAGE, limit - len(rows)),
                cursor=cursor,
            )
            rows += page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                break
    listed(
        rows,
        output,
        name=lambda row: row["reference"],
        columns=RESET_COLUMNS,
        wide=RESET_WIDE,
        empty="no resets",
    )


def show(
    reference: Reference,
    plan: Annotated[bool, typer.Option("--plan", help="the plan in force instead")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show one reset: where it stands, its steps, the next step to take."""
    with client() as daemon:
        reset = daemon.reset(reference)
        shown = daemon.get(f"/resets/{reset['id']}/plan") if plan else reset
    if output is Format.NAME:
        say(shown["hash"] if plan else reset["reference"])
    elif not structured(shown, output):
        (show_plan if plan else show_reset)(shown)


def environments(output: Output = Format.TABLE) -> None:
    """List environments, and what goes on in each."""
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
        wide=(("LOCKS", lambda row: ", ".join(one["key"] for one in row["locks"] if one["granted"])),),
        empty="no environments",
    )


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
            ("BEHIND", lambda row: ", ".join(names.get(one, one) for one in row["waitsFor"])),
        ),
        wide=(("TICKET", lambda row: row["ticket"]), ("ID", lambda row: row["resetId"])),
        empty="no locks",
    )


def audit(
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="only of this environment")
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", help="only what this person or service asked for")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="a time, or how long ago: 90m, 24h")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="at most so many")] = 100,
    output: Output = Format.TABLE,
) -> None:
    """Who asked for what, when and why, and what came of it, newest first; refused tries, too."""
    with client() as daemon:
        rows = daemon.get(
            "/audit",
            environment=environment,
            actor=actor,
            since=moment_of(since).isoformat() if since else None,
            limit=limit,
        )
    listed(
        rows,
        output,
        name=lambda row: f"{row['chain']}/{row['number']}",
        columns=(
            ("AT", lambda row: row["at"]),
            ("ENVIRONMENT", lambda row: row["environment"]),
            ("WHAT", lambda row: " ".join(filter(None, (row["action"], row["facts"].get("step"))))),
            ("VERDICT", lambda row: row["code"] or row["verdict"]),
            ("BY", lambda row: f"{row['actor']} ({row['channel']})"),
            ("REASON", lambda row: row["reason"]),
        ),
        wide=(
            ("LINE", lambda row: f"{row['chain']}/{row['number']}"),
            ("STATE", lambda row: row["state"]),
            ("DETAIL", lambda row: row["detail"]),
            ("HASH", lambda row: row["hash"]),
        ),
        empty="nothing was asked for",
    )


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
            ("RESOURCE", lambda row: row["resource"]),
            ("RESET", lambda row: row["reset"]),
            ("AGE", lambda row: age(row["takenAt"])),
            ("BYTES", lambda row: row["sizeBytes"]),
            ("PROVEN", lambda row: "yes" if row["proven"] else "no"),
            ("PATH", lambda row: row["path"]),
        ),
        wide=(("SHA256", lambda row: row["sha256"]),),
        empty="no backups",
    )


@dead_letters.command("list")
def list_dead_letters(
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 50, output: Output = Format.TABLE
) -> None:
    """List records that could not be read, newest first."""
    with client() as daemon:
        rows = daemon.get("/dead-letters", limit=limit)
    listed(
        rows,
        output,
        name=lambda row: row["id"],
        columns=(
            ("ID", lambda row: row["id"]),
            ("REASON", lambda row: row["reason"]),
            ("WHERE", lambda row: f"{row['topic']}[{row['partition']}]@{row['offset']}"),
            ("AGE", lambda row: age(row["at"])),
            ("PUBLISHED", lambda row: row["refused"] or ("yes" if row["publishedAt"] else "not yet")),
            ("DETAIL", lambda row: row["detail"]),
        ),
        empty="no dead letters",
    )


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


@auth.command("whoami")
def whoami(output: Output = Format.TABLE) -> None:
    """Say whose token is in use, and what it may do."""
    with client() as daemon:
        me = daemon.get("/whoami")
    if output is Format.NAME:
        say(me["subject"])
    elif not structured(me, output):
        say(f"{me['subject']} (token {me['name']})")
        say(f"roles: {', '.join(me['roles'])}; environments: {', '.join(me['environments'])}")
        if me["expiresAt"]:
            say(f"expires: {me['expiresAt']}")


def _explain(finding: Json) -> None:
    if finding["output"]:
        say(f"\n{finding['check']} of {finding['subject']}:")
        for line in finding["output"].splitlines():
            say(f"  {line}")
    if finding["hint"]:
        note(f"{finding['subject']}: {finding['hint']}")


def _short(reset: Json | None) -> str:
    return f"{reset['reference']} {reset['state']}" if reset else ""
