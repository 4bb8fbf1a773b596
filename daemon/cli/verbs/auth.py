"""`resetd auth`: the token in use."""

from __future__ import annotations

import typer

from daemon.cli.client import Json, client
from daemon.cli.output import Format, Output, answer, say

auth = typer.Typer(no_args_is_help=True, help="The token in use.")


@auth.command("whoami")
def whoami(output: Output = Format.TABLE) -> None:
    """Say whose token is in use, and what it may do."""
    with client() as daemon:
        me = daemon.get("/whoami")
    answer(me, output, names=[me["subject"]], text=lambda: _show(me))


def _show(me: Json) -> None:
    say(f"{me['subject']} (token {me['name']})")
    say(f"roles: {', '.join(me['roles'])}; environments: {', '.join(me['environments'])}")
    if me["expiresAt"]:
        say(f"expires: {me['expiresAt']}")
