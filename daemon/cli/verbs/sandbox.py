"""`resetd sandbox` and `resetd demo`."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.output import note

sandbox = typer.Typer(no_args_is_help=True, help="The local platform double.")


@sandbox.command("up")
def sandbox_up(
    directory: Annotated[Path, typer.Option("--directory", help="where it keeps everything")] = Path(
        "var/sandbox"
    ),
    environment: Annotated[
        list[str] | None, typer.Option("--environment", "-e", help="only this one; may be repeated")
    ] = None,
) -> None:
    """Run the platform double (Kafka, Kubernetes, GitHub, PostgreSQL, six services) until Ctrl-C."""
    here = directory.resolve()
    up = _part_of_sandbox("sandbox.__main__").up
    fleet = _part_of_sandbox("sandbox.fleet").FLEET
    unknown = sorted(set(environment or ()) - {one.name for one in fleet})
    if unknown:
        hint = f"It has {', '.join(one.name for one in fleet)}."
        raise EndError(Exit.USAGE, f"the sandbox has no environment {', '.join(unknown)}", hint)
    note(f"once it is up, in another terminal: set -a; . {here / 'resetd.env'}; set +a; resetd serve")
    try:
        asyncio.run(up(here, environment))
    except RuntimeError as error:
        raise EndError(Exit.FAILED, str(error)) from error


def demo() -> None:
    """Show the whole story: platform, daemon, events, a kill, a resume, the proof; then exit."""
    raise typer.Exit(_part_of_sandbox("sandbox.demo").main())


def _part_of_sandbox(name: str) -> ModuleType:
    """Loaded by name: nothing of the daemon depends on the double of its world."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        hint = "Install it with its extra: pip install 'resetd[sandbox]'."
        raise EndError(
            Exit.USAGE, f"the sandbox is not installed whole ({error.name} is missing)", hint
        ) from error
