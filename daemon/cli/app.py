"""Builds the command `resetd` out of its verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import use_address
from daemon.cli.verbs.daemon_itself.catalog import catalog
from daemon.cli.verbs.daemon_itself.config import config
from daemon.cli.verbs.daemon_itself.db import database
from daemon.cli.verbs.daemon_itself.sandbox import demo, sandbox
from daemon.cli.verbs.daemon_itself.serve import serve
from daemon.cli.verbs.operations.audit import audit
from daemon.cli.verbs.operations.auth import auth
from daemon.cli.verbs.operations.backups import backups
from daemon.cli.verbs.operations.dead_letters import dead_letters
from daemon.cli.verbs.operations.doctor import doctor
from daemon.cli.verbs.operations.environments import environments
from daemon.cli.verbs.operations.freezes import freeze, unfreeze
from daemon.cli.verbs.operations.holds import hold, unhold
from daemon.cli.verbs.operations.locks import locks
from daemon.cli.verbs.operations.protected import protected
from daemon.cli.verbs.operations.refusals import refusals
from daemon.cli.verbs.resets.acts import accept, cancel, release, resolve, resume, skip
from daemon.cli.verbs.resets.approve import approve, deny
from daemon.cli.verbs.resets.list import list_resets
from daemon.cli.verbs.resets.logs import logs
from daemon.cli.verbs.resets.plan import plan
from daemon.cli.verbs.resets.request import request
from daemon.cli.verbs.resets.show import show
from daemon.cli.verbs.resets.wait import wait
from daemon.cli.verbs.resets.watch import watch

app = typer.Typer(
    name="resetd",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RESETS, _DAEMON = "Resets", "The daemon itself"


@app.callback()
def root(
    url: Annotated[str | None, typer.Option("--url", help="address of the daemon; else RESETD_URL")] = None,
) -> None:
    """Reset client environments: back up, migrate, seed, verify. A reset can be watched, approved and resumed.

    Exit codes: 0 done, 1 the reset failed, 2 wrong use, 3 refused by a rule or a role, 4 waits for approval or
    an operator, 5 not reachable, 6 not within --timeout.
    """
    use_address(url)


for verb in (
    request,
    plan,
    watch,
    wait,
    logs,
    show,
    environments,
    locks,
    hold,
    unhold,
    freeze,
    unfreeze,
    audit,
    doctor,
    approve,
    deny,
    cancel,
    resume,
    skip,
    resolve,
    accept,
    release,
):
    app.command(rich_help_panel=_RESETS)(verb)
app.command("list", rich_help_panel=_RESETS)(list_resets)
for name, group in (
    ("backups", backups),
    ("dead-letters", dead_letters),
    ("refusals", refusals),
    ("protected", protected),
    ("auth", auth),
):
    app.add_typer(group, name=name, rich_help_panel=_RESETS)
app.command(rich_help_panel=_DAEMON)(serve)
app.command(rich_help_panel=_DAEMON)(demo)
app.command(rich_help_panel=_DAEMON)(config)
for name, group in (("db", database), ("catalog", catalog), ("sandbox", sandbox)):
    app.add_typer(group, name=name, rich_help_panel=_DAEMON)
