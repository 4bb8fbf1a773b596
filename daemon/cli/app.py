"""All verbs of `resetd`."""

from __future__ import annotations

import typer

from daemon.cli.root import root
from daemon.cli.verbs import asking, daemon_itself, deciding, following, listing, state_database

app = typer.Typer(
    name="resetd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(root)

_RESETS, _DAEMON = "Resets", "The daemon itself"
for verb in (
    asking.request,
    asking.plan,
    following.watch,
    following.wait,
    following.logs,
    listing.show,
    listing.environments,
    listing.locks,
    listing.audit,
    listing.doctor,
    deciding.approve,
    deciding.deny,
    deciding.cancel,
    deciding.resume,
    deciding.skip,
    deciding.resolve,
):
    app.command(rich_help_panel=_RESETS)(verb)
app.command("list", rich_help_panel=_RESETS)(listing.list_resets)
for name, group in (
    ("backups", listing.backups),
    ("dead-letters", listing.dead_letters),
    ("auth", listing.auth),
):
    app.add_typer(group, name=name, rich_help_panel=_RESETS)
app.command(rich_help_panel=_DAEMON)(daemon_itself.serve)
app.command(rich_help_panel=_DAEMON)(daemon_itself.demo)
app.command(rich_help_panel=_DAEMON)(daemon_itself.config)
for name, group in (
    ("db", state_database.database),
    ("catalog", daemon_itself.catalog),
    ("sandbox", daemon_itself.sandbox),
):
    app.add_typer(group, name=name, rich_help_panel=_DAEMON)
