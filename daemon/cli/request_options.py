"""What `resetd request` and `resetd plan` both take, and the body that it makes."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import Json
from daemon.cli.exit_codes import EndError, Exit
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


def request_body(
    environment: str,
    mode: Mode,
    service: list[str] | None,
    option: list[Option] | None,
    integration: list[str] | None,
    core: bool,
    git: bool | None,
) -> Json:
    """The body of `POST /resets` and `POST /plans`.

    Raises:
        EndError: a service has an unknown mode, or is given twice.
    """
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
