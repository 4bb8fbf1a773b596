"""What is at rest in an environment: what it was, for whom it rests, and since when. For the doctor."""

from __future__ import annotations

from daemon.ports.quiescing import Quiesced, Quiescing
from daemon.ports.store.store import Store
from schemas.api import Finding, FindingLevel
from schemas.wire import ResetId

CHECK = "at-rest"


class Resting:
    """Reads it from the objects themselves, and what became of their resets from the state database."""

    def __init__(self, quiescing: Quiescing, store: Store) -> None:
        self._quiescing = quiescing
        self._store = store

    async def findings(self, environment: str) -> list[Finding]:
        """Return a warning for each object at rest; none where nothing rests.

        Raises:
            PortError: the cluster or the state database can't be asked.
        """
        return [await self._finding(each) for each in await self._quiescing.quiesced(environment)]

    async def _finding(self, quiesced: Quiesced) -> Finding:
        whose = ", ".join([await self._whose(reset_id) for reset_id in quiesced.resets]) or "nobody any more"
        since = f" since {quiesced.since:%Y-%m-%d %H:%M} UTC" if quiesced.since else ""
        set_free = "" if quiesced.held else "; somebody has changed it since"
        return Finding(
            check=CHECK,
            subject=str(quiesced.object),
            level=FindingLevel.WARNING,
            detail=f"at rest{since} for {whose}; before: {quiesced.original}{set_free}",
            hint="`resetd resume ID` goes on, `resetd release ID --reason WHY` gives it back; or wait for the reset.",
        )

    async def _whose(self, reset_id: ResetId) -> str:
        reset = await self._store.find(reset_id)
        if reset is None:
            return f"{reset_id} (not known here)"
        return f"{reset.environment}/{reset.number} ({reset.state.value})"
