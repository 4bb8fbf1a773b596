"""Builds the command `resetd` out of its verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import use_address
from daemon.cli.verbs.acts import cancel, resolve, resume, skip
from daemon.cli.verbs.approve import approve, deny
from daemon.cli.verbs.audit import audit
from daemon.cli.verbs.auth import auth
from daemon.cli.verbs.backups import backups
from daemon.cli.verbs.catalog import catalog
from daemon.cli.verbs.config import config
from daemon.cli.verbs.db import database
from daemon.cli.verbs.dead_letters import dead_letters
from daemon.cli.verbs.doctor import doctor
from daemon.cli.verbs.environments import environments
from daemon.cli.verbs.list import list_resets
from daemon.cli.verbs.locks import locks
from daemon.cli.verbs.logs import logs
from daemon.cli.verbs.plan import plan
from daemon.cli.verbs.request import request
from daemon.cli.verbs.sandbox import demo, sandbox
from daemon.cli.verbs.serve import serve
from daemon.cli.verbs.show import show
from daemon.cli.verbs.wait import wait
from daemon.cli.verbs.watch import watch

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
    audit,
    doctor,
    approve,
    deny,
    cancel,
    resume,
    skip,
    resolve,
):
    app.command(rich_help_panel=_RESETS)(verb)
app.command("list", rich_help_panel=_RESETS)(list_resets)
for name, group in (("backups", backups), ("dead-letters", dead_letters), ("auth", auth)):
    app.add_typer(group, name=name, rich_help_panel=_RESETS)
app.command(rich_help_panel=_DAEMON)(serve)
app.command(rich_help_panel=_DAEMON)(demo)
app.command(rich_help_panel=_DAEMON)(config)
for name, group in (("db", database), ("catalog", catalog), ("sandbox", sandbox)):
    app.add_typer(group, name=name, rich_help_panel=_DAEMON)
