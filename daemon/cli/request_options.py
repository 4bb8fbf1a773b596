"""Options that `resetd request` and `resetd plan` share, and the body that they make."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import Json
from daemon.cli.exit_codes import EndError, Exit
from schemas.requests import Mode, Option

Environment = Annotated[str, typer.Argument(metavar="ENV", help="the environment, like qa-sandbox")]
ModeOption = Annotated[Mode, typer.Option("--mode", "-m", help="how deep: wipe, refresh or seed")]
Services = Annotated[
    list[str] | None,
    typer.Option("--service", "-s", metavar="S[=MODE]", help="only this service; may be repeated"),
]
Options = Annotated[
    list[Option] | None, typer.Option("--option", help="an addition to the mode; may be repeated")
]
Integrations = Annotated[
    list[str] | None, typer.Option("--integration", help="only this seeder; may be repeated")
]
Core = Annotated[bool, typer.Option("--core", help="with --service: migrate or wipe the core schema as well")]
Git = Annotated[
    bool | None,
    typer.Option("--git/--no-git", help="reset the repository or not; unless given, the mode decides"),
]


def request_body(
    environment: str,
    mode: Mode,
    service: list[str] | None,
    option: list[Option] | None,
    integration: list[str] | None,
    core: bool,
    git: bool | None,
) -> Json:
    """Make the body of `POST /resets` and `POST /plans`.

    Raises:
        EndError: a service has an unknown mode, or is given twice.
    """
    names: list[str] = []
    modes: dict[str, str] = {}
    for choice in service or ():
        name, equals, its_mode = choice.partition("=")
        if equals and its_mode not in {known.value for known in Mode}:
            raise EndError(
                Exit.USAGE,
                f"--service {choice}: {its_mode or 'nothing'} is no mode",
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
        "options": [chosen.value for chosen in option] if option else None,
        "integrations": integration or None,
        "core": core or None,
        "git": git,
    }
