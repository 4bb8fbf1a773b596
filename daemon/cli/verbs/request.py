"""`resetd request` and `resetd plan`: asking for a reset, and for what it would do."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.output import Format, Output, note, say, structured
from daemon.cli.reset_output import last_words, show_plan
from daemon.cli.run import Why, client
from daemon.cli.verbs.watch import wait_for
from schemas.requests import Mode, Option

Environment = Annotated[str, typer.Argument(metavar="ENV", help="environment, as qa-sandbox")]
ModeOption = Annotated[Mode, typer.Option("--mode", "-m", help="how deep: wipe, refresh or seed")]
Services = Annotated[
    list[str] | None,
    typer.Option("--service", "-s", metavar="S[=MODE]", help="only this one; may be repeated"),
]
Options = Annotated[
    list[Option] | None, typer.Option("--option", help="addition to the mode; may be repeated")
]
Integrations = Annotated[
    list[str] | None, typer.Option("--integration", help="only this seeder; may be repeated")
]
Core = Annotated[bool, typer.Option("--core", help="a subset has to migrate or wipe the core schema")]
Git = Annotated[
    bool | None, typer.Option("--git/--no-git", help="the repository; as the mode says unless given")
]


def request(
    environment: Environment,
    mode: ModeOption = Mode.REFRESH,
    service: Services = None,
    option: Options = None,
    integration: Integrations = None,
    core: Core = False,
    git: Git = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="plan it, recorded, and stop there")] = False,
    reason: Why = None,
    not_before: Annotated[
        datetime | None, typer.Option("--not-before", help="not before this moment (UTC)")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="same key, same reset")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="until it is done or stopped")] = False,
    timeout: Annotated[str | None, typer.Option("--timeout", help="for --wait, as 30m")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Ask for a reset."""
    wanted = _body(environment, mode, service, option, integration, core, git)
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
        if output is Format.NAME:
            say(reset["reference"])
        elif not structured(reset, output):
            say(last_words(reset))
        if wait and code is not Exit.DONE:
            raise typer.Exit(code)


def plan(
    environment: Environment,
    mode: ModeOption = Mode.REFRESH,
    service: Services = None,
    option: Options = None,
    integration: Integrations = None,
    core: Core = False,
    git: Git = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="table, json, yaml, name, or sh: as kubectl")
    ] = "table",
) -> None:
    """Say what a reset would do now; nothing is touched."""
    if output not in {"sh", *(one.value for one in Format)}:
        raise EndError(Exit.USAGE, f"-o {output}: unknown", "Use table, wide, json, yaml, name or sh.")
    wanted = _body(environment, mode, service, option, integration, core, git)
    with client() as daemon:
        if output == "sh":
            sys.stdout.write(daemon.post_text("/plans", wanted, "text/x-shellscript"))
            return
        made = daemon.post("/plans", wanted)
    if output == Format.NAME:
        say(made["hash"])
    elif not structured(made, Format(output)):
        show_plan(made)


def _body(
    environment: str,
    mode: Mode,
    service: list[str] | None,
    option: list[Option] | None,
    integration: list[str] | None,
    core: bool,
    git: bool | None,
) -> dict[str, Any]:
    names: list[str] = []
    modes: dict[str, str] = {}
    for one in service or ():
        name, equals, its_mode = one.partition("=")
        if equals and its_mode not in {each.value for each in Mode}:
            raise EndError(
                Exit.USAGE,
                f"--service {one}: {its_mode or 'nothing'} is no mode",
                "Modes: wipe, refresh, seed.",
            )
        if name in names:
            raise EndError(Exit.USAGE, f"--service {name}: given twice", "Name each service once.")
        names.append(name)
        if equals:
            modes[name] = its_mode
    return {
        "environment": environment,
        "mode": mode.value,
        "services": names or None,
        "serviceModes": modes or None,
        "options": [one.value for one in option] if option else None,
        "integrations": integration or None,
        "core": core or None,
        "git": git,
    }
