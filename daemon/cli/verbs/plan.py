"""`resetd plan`: show what a reset would do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon.cli.client import client
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.output import Format, answer
from daemon.cli.plan_output import show_plan
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
from schemas.requests import Mode


def plan(
    environment: Environment,
    mode: ModeOption = Mode.REFRESH,
    service: Services = None,
    option: Options = None,
    integration: Integrations = None,
    core: Core = False,
    git: Git = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="table, wide, json, yaml, name, or sh: a script of kubectl commands"
        ),
    ] = "table",
) -> None:
    """Say what a reset would do now. Nothing is changed."""
    if output not in {"sh", *(form.value for form in Format)}:
        raise EndError(Exit.USAGE, f"-o {output}: unknown", "Use table, wide, json, yaml, name or sh.")
    wanted = request_body(environment, mode, service, option, integration, core, git)
    with client() as daemon:
        if output == "sh":
            sys.stdout.write(daemon.post_text("/plans", wanted, "text/x-shellscript"))
            return
        made = daemon.post("/plans", wanted)
    answer(made, Format(output), names=[made["hash"]], text=lambda: show_plan(made))
