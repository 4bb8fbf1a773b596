"""`resetd sandbox` and `resetd demo`: run the local platform double."""

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
        list[str] | None, typer.Option("--environment", "-e", help="only this environment; may be repeated")
    ] = None,
) -> None:
    """Run the platform double (Kafka, Kubernetes, GitHub, PostgreSQL, six services) until Ctrl-C."""
    here = directory.resolve()
    up = _part_of_sandbox("sandbox.__main__").up
    fleet = _part_of_sandbox("sandbox.fleet").FLEET
    names = [member.name for member in fleet]
    unknown = sorted(set(environment or ()) - set(names))
    if unknown:
        hint = f"It has {', '.join(names)}."
        raise EndError(Exit.USAGE, f"the sandbox has no environment {', '.join(unknown)}", hint)
    note(f"once it is up, in another terminal: set -a; . {here / 'resetd.env'}; set +a; resetd serve")
    try:
        asyncio.run(up(here, environment))
    except RuntimeError as error:
        raise EndError(Exit.FAILED, str(error)) from error


def demo() -> None:
    """Show the whole story and exit: platform, daemon, events, a kill, a resume, the proof."""
    raise typer.Exit(_part_of_sandbox("sandbox.demo").main())


def _part_of_sandbox(name: str) -> ModuleType:
    """Load a module of the sandbox by name: nothing of the daemon depends on the double of its world.

    Raises:
        EndError: the sandbox, or a package that it needs, is not installed. The image has no sandbox.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == "sandbox":
            message = "the sandbox is not in this installation"
            hint = "It is in the source tree of resetd: `make demo` there installs and shows it."
        else:
            message = f"the sandbox is not installed whole ({error.name} is missing)"
            hint = "Install it with its extra: pip install 'resetd[sandbox]'."
        raise EndError(Exit.USAGE, message, hint) from error
