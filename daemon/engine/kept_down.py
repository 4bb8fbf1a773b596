"""What other resets keep at rest: whether it is worth waiting for."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.store.store import Store
from schemas.reasons import Reason
from schemas.wire import ResetId
from statemachines.lifecycle import AT_REST, needs_rest


async def kept_down(store: Store, what: str, resets: Sequence[ResetId]) -> PortError:
    """Return the error for what these resets keep at rest: it passes where one of them is at work, or gives it back.

    Raises:
        PortError: the state database does not answer.
    """
    detail = f"{what} {', '.join(resets)}"
    for reset_id in resets:
        reset = await store.find(reset_id)
        if reset is not None and (reset.state not in AT_REST or not needs_rest(reset)):
            return TemporaryError(Reason.QUIESCED, detail)
    hint = "Resume that reset, or `resetd release ID --reason WHY`; by hand as docs/operations.md says."
    return PermanentError(Reason.QUIESCED, detail, hint=hint)
