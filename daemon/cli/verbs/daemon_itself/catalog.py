"""`resetd catalog`: check and show the catalog file. It needs no running daemon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from daemon.cli.configuration import catalog_errors, settings_in_force
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.output import Format, Output, answer, note, say, table
from schemas.api import Finding, FindingLevel

if TYPE_CHECKING:
    from daemon.config.catalog_file import LoadedCatalog
    from daemon.config.settings import Settings
    from schemas.catalog.catalog import Catalog

catalog = typer.Typer(no_args_is_help=True, help="The catalog file.")


@catalog.command("check")
def check_catalog(
    file: Annotated[Path | None, typer.Argument(help="the file; unless given, the catalog in force")] = None,
    *,
    cluster: Annotated[
        bool,
        typer.Option("--cluster", help="also look for the services in the cluster that the kubeconfig names"),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Validate a catalog. Each error names file, line and field. What nothing acts on is an error, too.

    With --cluster the exit code is 1 when something is unknown for which a plan would be refused, as far as lists show
    it. Only `resetd doctor ENV` also asks the pods which databases they use.
    """
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
    findings = asyncio.run(_look(settings, loaded.catalog)) if cluster else ()
    unseen = any(finding.level in {FindingLevel.FAILED, FindingLevel.UNKNOWN} for finding in findings)
    report = {
        "file": str(loaded.file),
        "catalog": loaded.id,
        "seen": not unseen if cluster else None,
        "findings": [finding.model_dump(mode="json", by_alias=True) for finding in findings],
    }
    answer(report, output, names=[loaded.id], text=lambda: _show_checked(loaded, findings))
    if unseen:
        raise typer.Exit(Exit.FAILED)


async def _look(settings: Settings, checked: Catalog) -> Sequence[Finding]:
    from daemon.bootstrap import survey_cluster
    from daemon.ports.errors import PortError

    try:
        return await survey_cluster(settings, checked)
    except PortError as error:
        raise EndError(Exit.UNREACHABLE, error.detail, error.hint) from error


def _show_checked(loaded: LoadedCatalog, findings: Sequence[Finding]) -> None:
    checked = loaded.catalog
    say(f"{loaded.file}: {loaded.id}: {len(checked.services)} services, {len(checked.kinds)} kinds")
    if findings:
        table(
            ["SUBJECT", "FOUND", "DETAIL"],
            [[finding.subject, finding.level.value, finding.detail] for finding in findings],
        )
    for hint in dict.fromkeys(finding.hint for finding in findings if finding.hint):
        note(hint)


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
