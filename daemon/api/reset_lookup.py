"""Finds the reset that an address names: by its id, `ENVIRONMENT/NUMBER` or `ENVIRONMENT/@latest`."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

from daemon.api.authentication import require
from daemon.api.context import ApiContext
from daemon.api.problems import ProblemError
from daemon.api.tokens import Caller
from schemas.api import Role
from schemas.reasons import Reason
from schemas.resets import Reset

RESET_PATH = "/resets/{reference:reset}"
"""Path of one reset. The slash of `ENVIRONMENT/NUMBER` is part of the reference, not of what follows it."""


class _ResetReference(Convertor[str]):
    regex = r"[^/]+(?:/(?:[0-9]+|@latest))?"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("reset", _ResetReference())


async def find(context: ApiContext, caller: Caller, reference: str) -> Reset:
    """Find the reset that `reference` names, and check that the caller may view its environment.

    Raises:
        ProblemError: `unknown-reset`: there is no such reset. `forbidden`: the token is not for its environment, or for
            the one that `reference` names.
    """
    reset = await context.store.find(reference)
    if reset is None:
        environment, slash, _ = reference.partition("/")
        if slash:
            require(caller, Role.VIEWER, environment)
        hint = "`resetd list` shows resets; an id is never abbreviated, ENV/NUMBER and ENV/@latest are short forms."
        raise ProblemError(Reason.UNKNOWN_RESET, f"there is no reset {reference}", hint=hint)
    require(caller, Role.VIEWER, reset.environment)
    return reset
