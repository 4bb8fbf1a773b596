"""A person with the guide: finds a service's pod by its label and types commands into it, as `kubectl exec` does.

Uses the official Kubernetes client and nothing of the daemon, so that what a person's commands leave can be
compared with what the daemon's leave.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from sandbox.platform.platform import Platform

# The client's own annotations are partly missing and partly wrong (`command: str`).
Untyped: TypeAlias = Any
WITHIN = 60


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    exit_code: int
    output: str


class Hands:
    """Types into the pods of one environment."""

    def __init__(self, client: Untyped, environment: str) -> None:
        kinds: Untyped = importlib.import_module("kubernetes.client")
        self._environment = environment
        self._core = kinds.CoreV1Api(client)
        self._pods: dict[str, str] = {}

    def pod(self, service: str) -> str:
        """`kubectl get pods -n ENVIRONMENT -l "app.kubernetes.io/name=SERVICE"`: the one that it names."""
        if service not in self._pods:
            selector = f"app.kubernetes.io/name={service}"
            (found,) = self._core.list_namespaced_pod(self._environment, label_selector=selector).items
            self._pods[service] = found.metadata.name
        return self._pods[service]

    def type(self, service: str, text: str) -> Said:
        """`kubectl exec -n ENVIRONMENT POD -- sh -c TEXT`, to its end."""
        stream: Untyped = importlib.import_module("kubernetes.stream")
        opened = stream.stream(
            self._core.connect_get_namespaced_pod_exec,
            self.pod(service),
            self._environment,
            command=["sh", "-c", text],
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        # After a close frame this client leaves its socket open, and Python warns of it.
        socket = opened.sock.sock
        opened.run_forever(timeout=WITHIN)
        socket.close()
        return Said(opened.returncode, opened.read_all())

    def type_well(self, service: str, text: str) -> str:
        """What a command prints that has to succeed."""
        said = self.type(service, text)
        assert said.exit_code == 0, f"{service}: {text}: exit code {said.exit_code}\n{said.output}"
        return said.output

    def log(self, service: str, lines: int) -> str:
        """`kubectl logs -n ENVIRONMENT POD --tail=LINES`."""
        name = self.pod(service)
        return str(self._core.read_namespaced_pod_log(name, self._environment, tail_lines=lines))


@contextmanager
def hands(platform: Platform, environment: str) -> Iterator[Hands]:
    """The person, with the platform's kubeconfig."""
    kinds: Untyped = importlib.import_module("kubernetes.client")
    config: Untyped = importlib.import_module("kubernetes.config")
    configuration = kinds.Configuration()
    config.load_kube_config(str(platform.cluster.kubeconfig), client_configuration=configuration)
    with kinds.ApiClient(configuration) as client:
        yield Hands(client, environment)
        client.rest_client.pool_manager.clear()
