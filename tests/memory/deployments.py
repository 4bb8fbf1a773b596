"""ArgoCD's gates in memory."""

from __future__ import annotations

from daemon.ports.deployments import Gate


class MemoryDeployments:
    """Implements `daemon.ports.deployments.Deployments`. A gate is open unless a test closed it with a reason."""

    def __init__(self) -> None:
        self.closed: dict[str, str] = {}
        """Environment -> why a reset has to wait."""

    async def gate(self, environment: str) -> Gate:
        """See the port."""
        reason = self.closed.get(environment, "")
        return Gate(open=not reason, reason=reason)
