"""`resetd auth`."""

from __future__ import annotations

import typer

from daemon.cli.client import client
from daemon.cli.output import Format, Output, say, structured

auth = typer.Typer(no_args_is_help=True, help="The token in use.")


@auth.command("whoami")
def whoami(output: Output = Format.TABLE) -> None:
    """Say whose token is in use, and what it may do."""
    with client() as daemon:
        me = daemon.get("/whoami")
    if output is Format.NAME:
        say(me["subject"])
    elif not structured(me, output):
        say(f"{me['subject']} (token {me['name']})")
        say(f"roles: {', '.join(me['roles'])}; environments: {', '.join(me['environments'])}")
        if me["expiresAt"]:
            say(f"expires: {me['expiresAt']}")
