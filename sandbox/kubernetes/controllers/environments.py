"""The namespaces of the fleet, and what git says should run in each.

An environment is provisioned as the real pipeline does it: a namespace and an ArgoCD Application; the Deployments are
made by ArgoCD's first sync, from the manifests. "Git" is DIRECTORY/git/ENVIRONMENT.json, read anew at each look.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.kubernetes.node.containers import ImageMissing, Runtime
from sandbox.kubernetes.node.pod_specs import NAME_LABEL
from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.admission import NODE
from sandbox.kubernetes.objects.kinds import APPLICATIONS, NAMESPACES, NODES, SERVICE_ACCOUNTS, Kind
from sandbox.kubernetes.objects.objects import Object, Objects

ARGOCD = "argocd"
TRACKING = "argocd.argoproj.io/tracking-id"


@dataclass(frozen=True)
class Git:
    """The manifests by environment."""

    directory: Path

    def write(self, environment: str, manifests: list[Object]) -> None:
        """Makes `manifests` what the environment should be."""
        self.directory.mkdir(exist_ok=True)
        (self.directory / f"{environment}.json").write_text(json.dumps(manifests, indent=1))

    def read(self, environment: str) -> tuple[str, list[Object]]:
        """(revision, manifests); none are known for an environment that was never written."""
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
        """The namespaces and the node that every cluster has."""
        for name in ("default", "kube-system", ARGOCD):
            self._namespace(name, {})
        node = {
            "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}},
            "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
        }
        self._ensure(NODES, node)

    def provision(self, name: str) -> None:
        """Creates the environment, or brings its manifests up to date; Refusal 404 without variables for it."""
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

    def _ensure(self, kind: Kind, one: Object) -> None:
        meta = one["metadata"]
        if self.objects.find(kind, meta.get("namespace", ""), meta["name"]) is None:
            self.objects.create(kind, one)

    def _deployment(self, namespace: str, service: str, variables: dict[str, str]) -> Object:
        reference = f"fuse/{service}:1.0.0"
        try:
            command = self.runtime.default_command(self.runtime.image(reference)[0])
        except ImageMissing:
            # As with a registry that lost an image: the pod says ImagePullBackOff.
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
                # Nobody promises that a Deployment has the labels that its pods have.
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
    """Every living namespace gets its ServiceAccount `default`."""
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
