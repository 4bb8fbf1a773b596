"""`resetd request`: ask for a reset."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.exit_codes import Exit
from daemon.cli.next_step import last_words
from daemon.cli.options import Why
from daemon.cli.output import Format, Output, answer, note, say
from daemon.cli.request_options import (
    Core,
    Environment,
    Git,
    Integrations,
    ModeOption,
    Options,
    Services,
    request_body,
)
from daemon.cli.verbs.wait import wait_for
from schemas.requests import Mode


def request(
    environment: Environment,
    mode: ModeOption = Mode.REFRESH,
    service: Services = None,
    option: Options = None,
    integration: Integrations = None,
    core: Core = False,
    git: Git = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="record the plan and stop there")] = False,
    reason: Why = None,
    not_before: Annotated[
        datetime | None, typer.Option("--not-before", help="start it at this moment (UTC) or later")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="a request with the same key is the same reset")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait until it is done or stands still")] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="with --wait: for at most so long, like 30m")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Ask for a reset."""
    wanted = request_body(environment, mode, service, option, integration, core, git)
    wanted |= {
        "dryRun": dry_run or None,
        "reason": reason,
        "notBefore": f"{not_before.isoformat()}Z" if not_before else None,
        "idempotencyKey": idempotency_key,
    }
    with client() as daemon:
        reset = daemon.post("/resets", wanted)
        if wait:
            note(f"{reset['reference']} is {reset['state']}")
            reset, code = wait_for(daemon, reset["reference"], "planned" if dry_run else "done", timeout)
        answer(reset, output, names=[reset["reference"]], text=lambda: say(last_words(reset)))
        if wait and code is not Exit.DONE:
            raise typer.Exit(code)
