"""The end of the demo: tables of what was seen, the claims with their truth, and what to try next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from sandbox import journal
from sandbox.demo.story import FIRST, KILLED_IN, Evidence
from sandbox.journal import Launch
from sandbox.services.contents import counts, digest

_NOT_COMMANDS = ("backup.", "git.", "verify.")
_TRY_NEXT = """\
What to try next
  resetd sandbox up --directory var/sandbox        the platform, until Ctrl-C
  set -a; . var/sandbox/resetd.env; set +a; resetd serve
  resetd request qa-sandbox --mode wipe --wait     then: list, show, watch, logs, plan -o sh, doctor
  resetd request los-demo-production               waits for approval: production is protected"""


def show(evidence: Evidence, console: Console) -> bool:
    """Print everything; returns whether every claim is true."""
    console.print()
    if evidence.resets:
        console.print(_steps(evidence))
        console.print(_databases(evidence))
        console.print(_backups(evidence))
        console.print(_repository(evidence))
    claims = list(_claims(evidence))
    table = Table(title="Claims", title_justify="left", show_header=False)
    for claim, true in claims:
        table.add_row("[green]true[/green]" if true else "[bold red]FALSE[/bold red]", claim)
    console.print(table)
    if evidence.error:
        console.print(f"[red]The story ended early:[/red] {evidence.error}", highlight=False)
    console.print(f"[dim]{evidence.seconds:.0f} s[/dim]")
    console.print(_TRY_NEXT, highlight=False, markup=False)
    return all(true for _, true in claims)


def _steps(evidence: Evidence) -> Table:
    """A table with a row for each step; the journal counts the launches, not the daemon."""
    table = Table(
        title="Steps: attempts, and launches as the sandbox's journal counts them", title_justify="left"
    )
    table.add_column("step", no_wrap=True)
    for reset in evidence.resets:
        table.add_column(f"{reset['environment']}\nattempts", justify="right")
        table.add_column("\nlaunches", justify="right")
    by_attempt = evidence.journal.by_attempt()
    names = dict.fromkeys(step["name"] for reset in evidence.resets for step in reset["steps"])
    for name in names:
        cells: list[str] = []
        for reset in evidence.resets:
            step = next((found for found in reset["steps"] if found["name"] == name), None)
            cells += ["", ""] if step is None else _counted(reset["id"], step, by_attempt)
        table.add_row(name, *cells)
    return table


def _counted(reset_id: str, step: dict[str, Any], by_attempt: dict[str, tuple[Launch, ...]]) -> list[str]:
    marker = f"{reset_id}/{step['name']}/"
    launches = sum(len(launched) for attempt, launched in by_attempt.items() if attempt.startswith(marker))
    mark = "[green]✔[/green]" if step["state"] == "succeeded" else f"[red]{step['state']}[/red]"
    return [f"{mark} {step['attempts']}", "" if step["name"].startswith(_NOT_COMMANDS) else str(launches)]


def _databases(evidence: Evidence) -> Table:
    table = Table(title=f"Databases of {FIRST}", title_justify="left")
    for title in ("database", "rows before", "rows after", "content before", "content after"):
        table.add_column(title, no_wrap=True)
    for place, before in evidence.before.items():
        after = evidence.after[place]
        rows = [str(sum(counts(contents).values())) for contents in (before, after)]
        table.add_row(place, *rows, digest(before), digest(after))
    return table


def _backups(evidence: Evidence) -> Table:
    table = Table(title="Backups", title_justify="left")
    for title in ("environment", "database", "bytes", "sha256"):
        table.add_column(title, no_wrap=True)
    for backup in evidence.backups:
        environment, database, _ = backup["path"].split("/")
        table.add_row(environment, database, str(backup["sizeBytes"]), backup["sha256"][:32])
    return table


def _repository(evidence: Evidence) -> Table:
    table = Table(title="Repository qa-workflows", title_justify="left")
    for title in ("ref", "before", "after"):
        table.add_column(title, overflow="fold")
    for ref in sorted({*evidence.refs_before, *evidence.refs_after}):
        before, after = evidence.refs_before.get(ref, ""), evidence.refs_after.get(ref, "")
        table.add_row(ref, before[:12], after[:12])
    return table


def _claims(evidence: Evidence) -> Iterator[tuple[str, bool]]:
    """Each claim with its truth, by the evidence of others and not by the daemon's word."""
    done = [reset["environment"] for reset in evidence.resets if reset["state"] == "done"]
    yield "both resets are done", evidence.error is None and len(done) == len(evidence.resets) == 2  # noqa: PLR2004
    planned = {
        (reset["id"], step["name"])
        for reset in evidence.resets
        for step in reset["steps"]
        if not step["name"].startswith(_NOT_COMMANDS)
    }
    marked = {attempt: journal.Marker.parse(attempt) for attempt in evidence.journal.by_attempt()}
    launched = [(marker.reset, marker.step) for marker in marked.values()]
    yield (
        "every command of both plans was launched exactly once",
        bool(planned)
        and sorted(launched) == sorted(planned)
        and all(len(launches) == 1 for launches in evidence.journal.by_attempt().values()),
    )
    yield "the journal finds nothing launched twice", not journal.twice(evidence.journal)
    seeds = [attempt for attempt in marked if f"/{KILLED_IN}/" in attempt and _is_first(evidence, attempt)]
    same = [launch.host_pid for attempt in seeds for launch in evidence.journal.by_attempt()[attempt]]
    yield (
        f"resetd was killed while {KILLED_IN} ran; the very same process finished it",
        evidence.killed_while_running and same == [evidence.seed_process],
    )
    yield (
        "every database had dirt in it and has other contents now",
        bool(evidence.before)
        and all(before != evidence.after.get(place) for place, before in evidence.before.items()),
    )
    yield (
        "every backup on disk has the size and checksum that was recorded",
        bool(evidence.backups) and all(_is_whole(evidence, backup) for backup in evidence.backups),
    )
    head = evidence.refs_before.get("refs/heads/main")
    kept = [sha for ref, sha in evidence.refs_after.items() if ref.startswith("refs/heads/backup/")]
    yield (
        "qa-workflows is at its initial commit, and a backup branch at its former head",
        head is not None and evidence.refs_after.get("refs/heads/main") not in {None, head} and head in kept,
    )
    yield "the provisioned environment was reset only once it was settled", evidence.waited_for_argocd


def _is_first(evidence: Evidence, attempt: str) -> bool:
    return bool(evidence.resets) and attempt.startswith(evidence.resets[0]["id"])


def _is_whole(evidence: Evidence, backup: dict[str, object]) -> bool:
    path = evidence.backup_root / str(backup["path"])
    if not path.is_file():
        return False
    content = path.read_bytes()
    return len(content) == backup["sizeBytes"] and hashlib.sha256(content).hexdigest() == backup["sha256"]
