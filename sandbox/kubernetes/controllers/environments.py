"""The namespaces of the fleet, and what git says should run in each.

An environment is provisioned as by the real pipeline: with a namespace and an ArgoCD Application. ArgoCD's first sync
makes the Deployments from the manifests. "Git" is the file DIRECTORY/git/ENVIRONMENT.json, which each look reads anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.kubernetes.node.pod_specs import NAME_LABEL
from sandbox.kubernetes.node.runtime import ImageMissing, Runtime
from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.admission import NODE
from sandbox.kubernetes.objects.kinds import APPLICATIONS, NAMESPACES, NODES, SERVICE_ACCOUNTS, Kind
from sandbox.kubernetes.objects.objects import Object, Objects

ARGOCD = "argocd"
TRACKING = "argocd.argoproj.io/tracking-id"


@dataclass(frozen=True)
class Git:
    """The manifests of each environment, as files in `directory`."""

    directory: Path

    def write(self, environment: str, manifests: list[Object]) -> None:
        """Store the manifests that the environment should have."""
        self.directory.mkdir(exist_ok=True)
        (self.directory / f"{environment}.json").write_text(json.dumps(manifests, indent=1))

    def read(self, environment: str) -> tuple[str, list[Object]]:
        """The revision and the manifests of an environment; ("", []) for one that was never written."""
        try:
            text = (self.directory / f"{environment}.json").read_text()
        except FileNotFoundError:
            return "", []
        manifests: list[Object] = json.loads(text)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), manifests


@dataclass(frozen=True)
class Environments:
    """Provisions environments. `variables_file` holds {environment: {service: {VARIABLE: value}}}."""

    objects: Objects
    git: Git
    runtime: Runtime
    variables_file: Path

    def prepare_cluster(self) -> None:
        """Make the namespaces and the node that every cluster has."""
        for name in ("default", "kube-system", ARGOCD):
            self._namespace(name, {})
        node = {
            "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}},
            "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
        }
        self._ensure(NODES, node)

    def provision(self, name: str) -> None:
        """Create an environment, or bring its manifests up to date; Refusal 404 when no variables are known for it."""
        described = json.loads(self.variables_file.read_text())
        if name not in described:
            raise statuses.not_found("environments", "sandbox", name)
        manifests = [
            self._deployment(name, service, variables)
            for service, variables in sorted(described[name].items())
        ]
        self.git.write(name, manifests)
        client, _, kind = name.rpartition("-")
        self._namespace(name, {"fuse.io/client": client, "fuse.io/kind": kind})
        self._ensure(APPLICATIONS, _application(name))

    def _namespace(self, name: str, labels: dict[str, str]) -> None:
        labels = {"kubernetes.io/metadata.name": name} | labels
        self._ensure(
            NAMESPACES,
            {
                "metadata": {"name": name, "labels": labels},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )

    def _ensure(self, kind: Kind, wanted: Object) -> None:
        meta = wanted["metadata"]
        if self.objects.find(kind, meta.get("namespace", ""), meta["name"]) is None:
            self.objects.create(kind, wanted)

    def _deployment(self, namespace: str, service: str, variables: dict[str, str]) -> Object:
        reference = f"fuse/{service}:1.0.0"
        try:
            command = self.runtime.default_command(self.runtime.image(reference)[0])
        except ImageMissing:
            # The pod will say ImagePullBackOff, as with a registry that has lost an image.
            command = ["npm", "run", "prod"]
        labels = {NAME_LABEL: service, "app.kubernetes.io/instance": namespace}
        probe = {"httpGet": {"path": "/health", "port": 3000}, "periodSeconds": 10}
        container: dict[str, Any] = {
            "name": service,
            "image": reference,
            "command": command,
            "env": [{"name": key, "value": value} for key, value in sorted(variables.items())],
            "ports": [{"name": "http", "containerPort": 3000, "protocol": "TCP"}],
            "readinessProbe": probe,
            "livenessProbe": probe | {"failureThreshold": 3},
            "volumeMounts": [{"name": "cache", "mountPath": "/tmp/cache"}],
        }
        template = {
            "metadata": {"labels": labels},
            "spec": {
                "containers": [container],
                "volumes": [{"name": "cache", "emptyDir": {}}],
                "terminationGracePeriodSeconds": 5,
            },
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": service,
                "namespace": namespace,
                # The pods' labels are left out on purpose: a Deployment need not have them.
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {TRACKING: f"{namespace}:apps/Deployment:{namespace}/{service}"},
            },
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": dict(labels)},
                "template": template,
            },
        }


def default_account(objects: Objects) -> None:
    """Give every namespace that is not being deleted its ServiceAccount `default`."""
    for namespace in list(objects.every(NAMESPACES)):
        meta = namespace["metadata"]
        if "deletionTimestamp" in meta or objects.find(SERVICE_ACCOUNTS, meta["name"], "default"):
            continue
        objects.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": meta["name"]}})


def _application(name: str) -> Object:
    return {
        "metadata": {"name": name, "namespace": ARGOCD, "labels": {"fuse.io/environment": name}},
        "spec": {
            "project": "default",
            "source": {
                "repoURL": "git@github.com:fuse/infra-client-deployments.git",
                "path": f"argocd/{name}",
                "targetRevision": "main",
            },
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
    }
