"""The pods port on Kubernetes: what runs where, holders, and commands, over one connection."""

from __future__ import annotations

from daemon.adapters.kubernetes.client import Kubernetes
from daemon.adapters.kubernetes.cluster import KubernetesCluster
from daemon.adapters.kubernetes.commands import KubernetesCommands
from daemon.adapters.kubernetes.holders import KubernetesHolders


class KubernetesPods(KubernetesCluster, KubernetesHolders, KubernetesCommands):
    """Implements `daemon.ports.pods.pods.Pods`.

    Args:
        kubernetes: The connection, from `open_kubernetes`.
        stream_seconds: As `KubernetesCommands` takes it.
        silent_seconds: As `KubernetesCommands` takes it.
    """

    def __init__(
        self, kubernetes: Kubernetes, *, stream_seconds: int = 25, silent_seconds: float = 30.0
    ) -> None:
        KubernetesCluster.__init__(self, kubernetes)
        KubernetesHolders.__init__(self, kubernetes)
        KubernetesCommands.__init__(
            self, kubernetes, stream_seconds=stream_seconds, silent_seconds=silent_seconds
        )
