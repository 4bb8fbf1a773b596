"""Which running server a reset's dumps are of. What writes, and what verifies, is kept to it.

A copy has the same system identifier, and may answer under the same address: a server that was started again looks the
same. So nobody but a person says that it is the right one.
"""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason
from schemas.wire import ResourceKey
from statemachines.steps.launch_rights import last_dumps

NEW_DUMP = "Find out which server is right (a failover, a copy, a restart); `resetd resume ID` makes a new dump first."


def dumped_incarnation(leased: LeasedReset, key: ResourceKey) -> str | None:
    """The incarnation of the server of which the reset's last dump is (`Witness.incarnation`); None: there is none."""
    step = last_dumps(leased.plan, leased.steps).get(key)
    return step.outcome.facts.get("incarnation") if step is not None and step.outcome is not None else None


def check_incarnation(leased: LeasedReset, key: ResourceKey, incarnation: str, *, asks: str) -> None:
    """Refuse a server that is not the one that was dumped, whatever its identity says.

    Where there is no dump, nothing is refused. A session that was opened after the dump, because the daemon or the
    server was started again, may be in a copy.
    `asks` is the step, for people.

    Raises:
        PermanentError: `database-mismatch`.
    """
    dumped = dumped_incarnation(leased, key)
    if dumped is not None and dumped != incarnation:
        raise PermanentError(
            Reason.DATABASE_MISMATCH,
            f"{asks}: the server of {key} is not the one that was dumped, or was started again since",
            hint=NEW_DUMP,
        )
