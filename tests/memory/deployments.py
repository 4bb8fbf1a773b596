"""ArgoCD's word on environments, in memory."""

from __future__ import annotations

from daemon.ports.deployments import Gate


class MemoryDeployments:
    """Implements `daemon.ports.deployments.Deployments`: open unless it was closed with a reason."""

    def __init__(self) -> None:
        self.closed: dict[str, str] = {}
        """Environment -> why a reset has to wait."""

    async def gate(self, environment: str) -> Gate:
        """See the port."""
        reason = self.closed.get(environment, "")
        return Gate(open=not reason, reason=reason)
