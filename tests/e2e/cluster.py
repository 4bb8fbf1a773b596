"""A real cluster of one node, this machine: what is put there, and the account that the daemon gets."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from sandbox.fleet import SERVICES
from sandbox.platform.platform import Platform
from tests.e2e.deployments import PROJECT, stand_in
from tests.integration.stand.waiting import wait_for

# The official client's annotations are partly missing and partly wrong.
Untyped: TypeAlias = Any
RBAC = PROJECT / "deploy" / "kubernetes" / "rbac.yaml"
HOLDERS = RBAC.with_name("holders.yaml")
QUIESCING = RBAC.with_name("quiescing.yaml")
ACCOUNT = "resetd"
_MANAGER = {"field_manager": "resetd-e2e", "force_conflicts": True}


@dataclass(frozen=True)
class RealCluster:
    """The cluster as its administrator."""

    kubeconfig: str

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """Make these objects what they say (server-side apply)."""
        dynamic: Untyped = importlib.import_module("kubernetes.dynamic")
        client = dynamic.DynamicClient(self._client())
        for one in documents:
            kind = client.resources.get(api_version=one["apiVersion"], kind=one["kind"])
            kind.server_side_apply(
                body=dict(one),
                name=one["metadata"]["name"],
                namespace=one["metadata"].get("namespace"),
                **_MANAGER,
            )

    def core(self) -> Untyped:
        """The official client of pods and namespaces."""
        return self._kinds().CoreV1Api(self._client())

    def apps(self) -> Untyped:
        """The official client of Deployments."""
        return self._kinds().AppsV1Api(self._client())

    def remove_namespace(self, name: str) -> None:
        """Delete it with all that is in it, and wait."""
        core = self.core()

        def names() -> list[str]:
            return [one.metadata.name for one in core.list_namespace().items]

        if name in names():
            core.delete_namespace(name)
        wait_for(lambda: name not in names(), f"{name} is gone", within=120)

    def account(self, directory: Path, rules: Iterable[Mapping[str, Any]]) -> Path:
        """A kubeconfig of the daemon's ServiceAccount, which has the rights in these documents."""
        self.apply(*[one for one in rules if one["kind"] == "Namespace"], namespace("argocd"))
        self.apply(*[one for one in rules if one["kind"] != "Namespace"])
        token = self.core().create_namespaced_service_account_token(
            ACCOUNT, "resetd", {"spec": {"expirationSeconds": 7200}}
        )
        config = yaml.safe_load(Path(self.kubeconfig).read_text())
        cluster = config["clusters"][0]
        held = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "e2e",
            "clusters": [cluster],
            "users": [{"name": "resetd", "user": {"token": token.status.token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": cluster["name"], "user": "resetd"}}],
        }
        file = directory / "resetd.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(held))
        return file

    def provision(self, platform: Platform, environment: str) -> None:
        """The six services in pods, ready, and ArgoCD's word that all is well."""
        self.remove_namespace(environment)
        self.apply(namespace(environment), namespace("argocd"), application(environment))
        for service, variables in platform.databases.pod_urls()[environment].items():
            self.apply(stand_in(platform, environment, service, variables))
        core = self.core()

        def ready() -> bool:
            pods = core.list_namespaced_pod(environment).items
            conditions = [
                condition.status == "True"
                for pod in pods
                for condition in pod.status.conditions or ()
                if condition.type == "Ready"
            ]
            return len(conditions) == len(SERVICES) and all(conditions)

        wait_for(ready, f"the pods of {environment} are ready", within=300)

    def _kinds(self) -> Untyped:
        return importlib.import_module("kubernetes.client")

    def _client(self) -> Untyped:
        config: Untyped = importlib.import_module("kubernetes.config")
        return config.new_client_from_config(self.kubeconfig)


@dataclass(frozen=True)
class Parts:
    """The processes of the stand, by its directory: killed with -9, and brought back as its README says."""

    stand: Path

    def kill(self, name: str) -> None:
        """SIGKILL one of `kube-apiserver`, `kubelet`, `containerd`."""
        home = Path(os.environ.get("STANDK8S_HOME", Path.home() / ".cache" / "standk8s"))
        os.kill(int((home / "run" / f"{name}.pid").read_text().split()[0]), 9)

    def bring_back(self) -> None:
        """Start what does not run, and wait until the node is ready."""
        done = subprocess.run(
            [self.stand / "up.sh"], capture_output=True, text=True, check=False, timeout=200
        )
        assert done.returncode == 0, done.stdout + done.stderr


def rights(environment: str) -> list[dict[str, Any]]:
    """The documents of the manifests that are shipped, for one environment, holders included."""
    return [*documents(RBAC, environment), *documents(HOLDERS, environment)]


def documents(manifest: Path, environment: str) -> list[dict[str, Any]]:
    """The documents of one manifest, for one environment."""
    text = manifest.read_text().replace("qa-sandbox", environment)
    return [one for one in yaml.safe_load_all(text) if one]


def namespace(name: str) -> dict[str, Any]:
    """One namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def application(environment: str) -> dict[str, Any]:
    """ArgoCD's word that all is well in an environment."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": environment, "namespace": "argocd"},
        "spec": {"project": "default", "destination": {"namespace": environment}},
        "status": {
            "sync": {"status": "Synced"},
            "health": {"status": "Healthy"},
            "operationState": {"phase": "Succeeded"},
            "reconciledAt": datetime.now(UTC).isoformat(),
        },
    }
