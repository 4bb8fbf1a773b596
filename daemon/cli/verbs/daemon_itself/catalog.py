"""`resetd catalog`: check and show the catalog file. It needs no running daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
import yaml

from daemon.cli.configuration import catalog_errors, settings_in_force
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.output import Format, say

catalog = typer.Typer(no_args_is_help=True, help="The catalog file.")


@catalog.command("check")
def check_catalog(
    file: Annotated[Path | None, typer.Argument(help="the file; unless given, the catalog in force")] = None,
) -> None:
    """Validate a catalog. Each error names file, line and field. What nothing acts on is an error, too."""
    from daemon.config.catalog_file import load_catalog
    from daemon.config.without_effect import NOTHING_ACTS, given_without_effect
    from statemachines.planning.without_effect import fields_without_effect

    settings = settings_in_force()
    with catalog_errors():
        loaded = load_catalog(file or settings.catalog)
    flaws = [f"{loaded.file}: {field}: {NOTHING_ACTS}" for field in fields_without_effect(loaded.catalog)]
    flaws += [f"{variable}: {NOTHING_ACTS}" for variable in given_without_effect(settings)]
    if flaws:
        raise EndError(
            Exit.USAGE, "\n".join(flaws), "Take it out; the CHANGELOG says when something acts on it."
        )
    say(
        f"{loaded.file}: {loaded.id}: {len(loaded.catalog.services)} services, {len(loaded.catalog.kinds)} kinds"
    )


@catalog.command("show")
def show_catalog(
    output: Annotated[Format, typer.Option("--output", "-o", help="yaml, json or name")] = Format.YAML,
) -> None:
    """Print the catalog in force, without the values that are defaults."""
    from daemon.config.catalog_file import load_catalog

    with catalog_errors():
        loaded = load_catalog(settings_in_force().catalog)
    content = loaded.catalog.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if output is Format.NAME:
        say(loaded.id)
    elif output is Format.JSON:
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), nl=False)
