"""ArgoCD as far as a reset meets it: Applications compared with git, health, automated sync and self-heal.

It compares whether each Deployment of the manifests is there, its replicas, and its containers' images; it leaves out
replicas that `ignoreDifferences` names. A sync sets these back. Two times are shorter than in the real ArgoCD:
a drift is healed after `SELF_HEAL` seconds (there 5), and `reconciledAt` is renewed every `REFRESH` seconds (there up
to 180).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.kubernetes.controllers.environments import Git
from sandbox.kubernetes.objects import admission
from sandbox.kubernetes.objects.kinds import APPLICATIONS, DEPLOYMENTS, NAMESPACES
from sandbox.kubernetes.objects.objects import Object, Objects, now

SELF_HEAL = 1.0
REFRESH = 3.0
REFRESH_ANNOTATION = "argocd.argoproj.io/refresh"
SKIP_ANNOTATION = "argocd.argoproj.io/skip-reconcile"
_WORST = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded")


@dataclass
class ArgoCD:
    """The application controller. `clock` returns monotonic seconds."""

    objects: Objects
    git: Git
    clock: Callable[[], float]
    _drifting: dict[str, float] = field(default_factory=dict)

    def reconcile(self) -> None:
        """Look at every Application once."""
        for application in list(self.objects.every(APPLICATIONS)):
            annotations = application["metadata"].get("annotations") or {}
            if annotations.get(SKIP_ANNOTATION) != "true":
                self._look(application)

    def _look(self, application: Object) -> None:
        spec, name = application["spec"], application["metadata"]["name"]
        namespace = (spec.get("destination") or {}).get("namespace", "")
        revision, manifests = self.git.read(name)
        there = self.objects.find(NAMESPACES, "", namespace)
        usable = there is not None and "deletionTimestamp" not in there["metadata"]
        asked = application.get("operation")
        automated: Object | None = (spec.get("syncPolicy") or {}).get("automated")
        drift = self._drift(namespace, manifests, spec)
        fresh = (application.get("status") or {}).get("sync", {}).get("revision") != revision
        due = False
        if not drift:
            self._drifting.pop(name, None)
        elif automated is not None and automated.get("enabled", True):
            since = self._drifting.setdefault(name, self.clock())
            due = fresh or (bool(automated.get("selfHeal")) and self.clock() - since >= SELF_HEAL)
        operation = None
        if usable and (due or asked):
            operation = self._sync(namespace, manifests, revision, asked)
            self._drifting.pop(name, None)
            drift = self._drift(namespace, manifests, spec)
        self._report(application, namespace, manifests, revision, drift, operation)

    def _drift(self, namespace: str, manifests: list[Object], spec: Object) -> list[str]:
        """The names of the Deployments that differ from the manifests."""
        replicas_ignored = any(
            entry.get("kind") == "Deployment" and "/spec/replicas" in (entry.get("jsonPointers") or [])
            for entry in spec.get("ignoreDifferences") or []
        )
        drift = []
        for manifest in manifests:
            name = manifest["metadata"]["name"]
            live = self.objects.find(DEPLOYMENTS, namespace, name)
            same = live is not None and _images(live) == _images(manifest)
            if live and same and not replicas_ignored:
                same = live["spec"]["replicas"] == manifest["spec"]["replicas"]
            if not same:
                drift.append(name)
        return drift

    def _sync(self, namespace: str, manifests: list[Object], revision: str, asked: Object | None) -> Object:
        started = now()
        for manifest in manifests:
            name = manifest["metadata"]["name"]
            if self.objects.find(DEPLOYMENTS, namespace, name) is None:
                new = admission.prepare(self.objects, DEPLOYMENTS, manifest)
                self.objects.create(DEPLOYMENTS, new)
            else:
                self.objects.update(DEPLOYMENTS, namespace, name, _towards(manifest))
        by = {"initiatedBy": {"automated": True}, "retry": {"limit": 5}}
        return {
            "operation": asked or by | {"sync": {"revision": revision}},
            "phase": "Succeeded",
            "message": "successfully synced (all tasks run)",
            "startedAt": started,
            "finishedAt": now(),
            "syncResult": {"revision": revision},
        }

    def _report(
        self,
        application: Object,
        namespace: str,
        manifests: list[Object],
        revision: str,
        drift: list[str],
        operation: Object | None,
    ) -> None:
        resources = [self._resource(namespace, manifest, drift) for manifest in manifests]
        found = [resource["health"]["status"] for resource in resources]
        health = max(found, key=_WORST.index, default="Healthy")
        held = application.get("status") or {}
        status = copy.deepcopy(held) | {
            "sync": {
                "status": "OutOfSync" if drift else "Synced",
                "revision": revision,
                "comparedTo": compared_to(application["spec"]),
            },
            "health": {"status": health},
            "resources": resources,
            "sourceType": "Helm",
            "summary": {
                "images": sorted({image for manifest in manifests for image in _images(manifest).values()})
            },
        }
        if held.get("health", {}).get("status") == health:
            status["health"] = held["health"]
        else:
            status["health"]["lastTransitionTime"] = now()
        if operation:
            status["operationState"] = operation
        annotations = application["metadata"].get("annotations") or {}
        asked = REFRESH_ANNOTATION in annotations
        if status == held and not asked and not _stale(held.get("reconciledAt")):
            return
        status["reconciledAt"] = now()

        def change(stored: Object) -> None:
            stored["status"] = status
            (stored["metadata"].get("annotations") or {}).pop(REFRESH_ANNOTATION, None)
            if operation:
                stored.pop("operation", None)

        meta = application["metadata"]
        self.objects.update(APPLICATIONS, meta["namespace"], meta["name"], change)

    def _resource(self, namespace: str, manifest: Object, drift: list[str]) -> Object:
        name = manifest["metadata"]["name"]
        live = self.objects.find(DEPLOYMENTS, namespace, name)
        status, message = health_of(live)
        return {
            "group": "apps",
            "version": "v1",
            "kind": "Deployment",
            "namespace": namespace,
            "name": name,
            "status": "OutOfSync" if name in drift else "Synced",
            "health": {"status": status} | ({"message": message} if message else {}),
        }


def compared_to(spec: Object) -> Object:
    """What `status.sync.comparedTo` says of a spec: as the real controller's Go structures write it.

    Several sources push the single one aside; a hydrated Application is compared by the branch that it deploys.
    """
    compared: Object = {"destination": _as_go_writes(spec.get("destination") or {})}
    if hydrator := spec.get("sourceHydrator"):
        dry, sync = hydrator["drySource"], hydrator["syncSource"]
        source = {"repoURL": dry["repoURL"], "path": sync["path"], "targetRevision": sync["targetBranch"]}
        return compared | {"source": source}
    if sources := spec.get("sources"):
        return compared | {"sources": [_as_go_writes(source) for source in sources]}
    return compared | {"source": _as_go_writes(spec.get("source") or {})}


def _as_go_writes(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out empty fields, and write a structure that is not a pointer even where it is empty."""
    if isinstance(value, list):
        return [_as_go_writes(element) for element in value]
    if not isinstance(value, dict):
        return value
    written = {key: _as_go_writes(field) for key, field in value.items() if field}
    if isinstance(written.get("directory"), dict):
        written["directory"].setdefault("jsonnet", {})
    return written


def health_of(deployment: Object | None) -> tuple[str, str]:
    """The health of a Deployment and its message, by the rules of ArgoCD's gitops-engine; None: it is missing."""
    if deployment is None:
        return "Missing", ""
    spec, status = deployment["spec"], deployment.get("status") or {}
    if spec.get("paused"):
        return "Suspended", "Deployment is paused"
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return (
            "Progressing",
            "Waiting for rollout to finish: observed deployment generation less than desired",
        )
    for condition in status.get("conditions") or []:
        if condition.get("reason") == "ProgressDeadlineExceeded":
            name = deployment["metadata"]["name"]
            return "Degraded", f'Deployment "{name}" exceeded its progress deadline'
    wanted, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    if updated < wanted:
        text = f"{updated} out of {wanted} new replicas have been updated..."
        return "Progressing", f"Waiting for rollout to finish: {text}"
    if status.get("replicas", 0) > updated:
        text = f"{status['replicas'] - updated} old replicas are pending termination..."
        return "Progressing", f"Waiting for rollout to finish: {text}"
    if available < updated:
        text = f"{available} of {updated} updated replicas are available..."
        return "Progressing", f"Waiting for rollout to finish: {text}"
    return "Healthy", ""


def _images(deployment: Object) -> dict[str, str]:
    containers: list[Any] = deployment["spec"]["template"]["spec"]["containers"]
    return {container["name"]: container["image"] for container in containers}


def _towards(manifest: Object) -> Callable[[Object], None]:
    def change(live: Object) -> None:
        live["spec"]["replicas"] = manifest["spec"]["replicas"]
        images = _images(manifest)
        for container in live["spec"]["template"]["spec"]["containers"]:
            container["image"] = images.get(container["name"], container["image"])

    return change


def _stale(reconciled: str | None) -> bool:
    if reconciled is None:
        return True
    waited = datetime.now(UTC) - datetime.fromisoformat(reconciled)
    return waited.total_seconds() > REFRESH
