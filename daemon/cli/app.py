"""All verbs of `resetd`."""

from __future__ import annotations

import typer

from daemon.cli.run import root
from daemon.cli.verbs import acts, db, request, serve, watch
from daemon.cli.verbs import list as listing

app = typer.Typer(
    name="resetd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(root)

_RESETS, _DAEMON = "Resets", "The daemon itself"
for verb in (
    request.request,
    request.plan,
    watch.watch,
    watch.wait,
    watch.logs,
    listing.show,
    listing.environments,
    listing.locks,
    listing.audit,
    listing.doctor,
    acts.approve,
    acts.deny,
    acts.cancel,
    acts.resume,
    acts.skip,
    acts.resolve,
):
    app.command(rich_help_panel=_RESETS)(verb)
app.command("list", rich_help_panel=_RESETS)(listing.list_resets)
for name, group in (
    ("backups", listing.backups),
    ("dead-letters", listing.dead_letters),
    ("auth", listing.auth),
):
    app.add_typer(group, name=name, rich_help_panel=_RESETS)
app.command(rich_help_panel=_DAEMON)(serve.serve)
app.command(rich_help_panel=_DAEMON)(serve.demo)
app.command(rich_help_panel=_DAEMON)(serve.config)
for name, group in (
    ("db", db.database),
    ("catalog", serve.catalog),
    ("sandbox", serve.sandbox),
):
    app.add_typer(group, name=name, rich_help_panel=_DAEMON)
