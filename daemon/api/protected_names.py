"""Compares the names in a word about a protected environment with what the daemon knows: one may be misspelt.

A word that names a database or an environment that isn't there protects nothing, and looks as if it did.
"""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api.context import ApiContext
from daemon.api.problems import ProblemError
from daemon.api.protected_words import LIST_HINT
from daemon.api.tokens import Caller
from schemas.api import ConfirmBody, Pointer
from schemas.protection import DATABASE_KEY, RememberedUse, Scope
from schemas.reasons import Reason

_NAMED = 10
"""Databases that a hint names."""


async def check_environment(context: ApiContext, scope: Scope, remembered: Sequence[RememberedUse]) -> None:
    """Check that the environment is in the cluster, remembered, or listed as one of another cluster.

    Raises:
        ProblemError: `unknown-protected`.
        PortError: the cluster can't be asked, and nothing else knows the environment.
    """
    known = {use.environment for use in remembered} | {each.environment for each in context.catalog.elsewhere}
    if scope.environment in known or scope.environment in await context.pods.environments():
        return
    detail = f"there is no namespace {scope.environment}, and nothing is remembered of it"
    raise ProblemError(Reason.UNKNOWN_PROTECTED, detail, hint=LIST_HINT)


async def check_uses(
    context: ApiContext, caller: Caller, scope: Scope, sent: ConfirmBody, remembered: Sequence[RememberedUse]
) -> None:
    """Check that each database of a word was seen once: in memory, in another cluster's list, or as a backup.

    Raises:
        ProblemError: `unknown-protected`: nobody saw one, and the word doesn't say `unseen`.
    """
    if sent.unseen:
        return
    elsewhere = [
        (each.environment, database.key) for each in context.catalog.elsewhere for database in each.databases
    ]
    told = [*((use.environment, use.key) for use in remembered), *elsewhere]
    known = {key for _, key in told} | {backup["resource"] for backup in await context.store.backups()}
    wrong = [at for at, key in enumerate(sent.uses or ()) if key not in known]
    if not wrong and (scope.key is None or scope.key in known):
        return
    shown = sorted({key for name, key in told if caller.sees(name) and key.startswith(DATABASE_KEY)})
    more = f", and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    names = ", ".join(shown[:_NAMED]) + more if shown else "none that your token is for"
    missing = [str((sent.uses or ())[at]) for at in wrong[:_NAMED]] or [str(scope.key)]
    raise ProblemError(
        Reason.UNKNOWN_PROTECTED,
        f"nobody ever saw {', '.join(missing)}: neither a production's pod, nor a backup, nor the catalog",
        hint=f"Compare it with what is known: {names}. `--unseen` (`unseen: true`) says that it is right all the same.",
        errors=tuple(Pointer(pointer=f"/uses/{at}", detail="nobody ever saw it") for at in wrong),
    )
