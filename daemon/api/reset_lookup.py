"""Naming a reset in an address: its id, `ENVIRONMENT/NUMBER` or `ENVIRONMENT/@latest`."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

from daemon.api.authentication import require
from daemon.api.context import ApiContext
from daemon.api.problems import ProblemError
from daemon.api.tokens import Caller
from schemas.api import Role
from schemas.reasons import Reason
from schemas.resets import Reset

ONE = "/resets/{reference:reset}"
"""Address of one reset. The slash of a short form belongs to the reference and to nothing that follows it."""


class _ResetReference(Convertor[str]):
    regex = r"[^/]+(?:/(?:[0-9]+|@latest))?"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("reset", _ResetReference())


async def find(context: ApiContext, caller: Caller, reference: str, role: Role = Role.VIEWER) -> Reset:
    """The reset, where the caller has `role` in its environment.

    Raises:
        ProblemError: `unknown-reset`, `forbidden`.
    """
    reset = await seek(context, caller, reference)
    require(caller, role, reset.environment)
    return reset


async def seek(context: ApiContext, caller: Caller, reference: str) -> Reset:
    """The reset, whoever asks; whether the caller may do anything about it is still to be asked.

    Raises:
        ProblemError: `unknown-reset`; `forbidden` where the caller may not even know that there is none.
    """
    reset = await context.store.find(reference)
    if reset is None:
        environment, slash, _ = reference.partition("/")
        if slash:
            require(caller, Role.VIEWER, environment)
        hint = "`resetd list` shows resets; an id is never abbreviated, ENV/NUMBER and ENV/@latest are short forms."
        raise ProblemError(Reason.UNKNOWN_RESET, f"there is no reset {reference}", hint=hint)
    return reset
