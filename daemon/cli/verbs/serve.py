"""Verbs of the daemon itself: they need no running daemon, and load what they need only when they are run."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
import yaml

from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.output import Format, Output, note, say, structured, table
from daemon.config.settings import Settings, SettingsError, load

catalog = typer.Typer(no_args_is_help=True, help="The catalog file.")
sandbox = typer.Typer(no_args_is_help=True, help="The local platform double.")


def serve() -> None:
    """Run the daemon until SIGTERM or Ctrl-C; commands in pods go on, and the next start finds them."""
    from daemon.config.logging import set_up
    from daemon.config.yaml_documents import DocumentError
    from daemon.ports.errors import PortError

    settings = settings_in_force()
    set_up(settings.log_format, settings.log_level)
    with _catalog_errors():
        # State, dumps and kept output hold clients' data.
        os.umask(0o077)
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            detail = f"RESETD_DATA_DIR: {settings.data_dir} can't be made: {error.strerror}"
            raise EndError(Exit.USAGE, detail) from error
        try:
            from daemon.bootstrap import serve as run

            asyncio.run(run(settings))
        except (SettingsError, DocumentError) as error:
            raise EndError(Exit.USAGE, str(error)) from error
        except PortError as error:
            raise EndError(Exit.FAILED, error.detail, error.hint) from error
        except OSError as error:
            hint = "Is another one running already?" if error.errno == errno.EADDRINUSE else None
            raise EndError(Exit.FAILED, f"{error.strerror or error}", hint) from error


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


def config(output: Output = Format.TABLE) -> None:
    """Print the settings in force, and where each comes from; secrets are masked."""
    from daemon.cli.masked_settings import in_force, unknown

    rows = in_force(settings_in_force())
    if not structured([row._asdict() for row in rows], output):
        if output is Format.NAME:
            for row in rows:
                say(row.name)
        else:
            table(["SETTING", "VALUE", "FROM"], [[row.name, row.value, row.origin] for row in rows])
    for name, meant in unknown():
        note(f"{name}: is no setting of resetd{f'; did you mean {meant}?' if meant else ''}")


@catalog.command("check")
def check_catalog(
    file: Annotated[Path | None, typer.Argument(help="unless given: the one in force")] = None,
) -> None:
    """Validate a catalog; each error with file, line and field."""
    from daemon.config.catalog_file import load_catalog

    with _catalog_errors():
        loaded = load_catalog(file or settings_in_force().catalog)
    say(
        f"{loaded.file}: {loaded.id}: {len(loaded.catalog.services)} services, {len(loaded.catalog.kinds)} kinds"
    )


@catalog.command("show")
def show_catalog(
    output: Annotated[Format, typer.Option("--output", "-o", help="yaml, json or name")] = Format.YAML,
) -> None:
    """Print the catalog in force, its defaults left out."""
    from daemon.config.catalog_file import load_catalog

    with _catalog_errors():
        loaded = load_catalog(settings_in_force().catalog)
    content = loaded.catalog.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if output is Format.NAME:
        say(loaded.id)
    elif output is Format.JSON:
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), nl=False)


def settings_in_force() -> Settings:
    """The settings.

    Raises:
        EndError: one of them can't be read.
    """
    try:
        return load()
    except SettingsError as error:
        raise EndError(Exit.USAGE, str(error)) from error


@contextmanager
def _catalog_errors() -> Iterator[None]:
    from daemon.config.catalog_file import CatalogError

    try:
        yield
    except CatalogError as error:
        raise EndError(Exit.USAGE, str(error), "`resetd catalog check FILE` checks a file.") from error
