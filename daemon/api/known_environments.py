"""Whether there is an environment of a name, for what people say of an environment as a whole."""

from __future__ import annotations

from daemon.api.context import ApiContext
from daemon.api.problems import ProblemError
from daemon.ports.errors import PortError
from schemas.reasons import Reason


async def check_environment(context: ApiContext, environment: str) -> None:
    """Refuse a name that is misspelt. Where the cluster can't be asked the name is taken as it is.

    Raises:
        ProblemError: `unknown-environment`.
    """
    try:
        known = await context.pods.environments()
    except PortError:
        return
    if environment not in known:
        hint = "`resetd environments` lists those of the cluster."
        raise ProblemError(
            Reason.UNKNOWN_ENVIRONMENT, f"there is no environment {environment}", status=404, hint=hint
        )
