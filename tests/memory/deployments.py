"""ArgoCD's gates in memory."""

from __future__ import annotations

from daemon.ports.deployments import Gate
from schemas.wire import ResetId


class MemoryDeployments:
    """Implements `daemon.ports.deployments.Deployments`. A gate is open unless a test closed it with a reason."""

    def __init__(self) -> None:
        self.closed: dict[str, str] = {}
        """Environment -> why a reset has to wait."""
        self.held: dict[str, tuple[ResetId, ...]] = {}
        """Environment -> the resets that hold its automated sync."""

    async def gate(self, environment: str) -> Gate:
        """See the port."""
        held = self.held.get(environment, ())
        reason = self.closed.get(environment, "") or (f"held by {', '.join(held)}" if held else "")
        return Gate(open=not reason, reason=reason, held_by=held)
