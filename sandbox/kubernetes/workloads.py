"""The controllers of Deployments and ReplicaSets, and the garbage collection of what they own.

One pass over a namespace after each change in it; a pass that finds nothing to do writes nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from sandbox.kubernetes import admission, deletion
from sandbox.kubernetes.kinds import DEPLOYMENTS, PODS, REPLICA_SETS, Kind
from sandbox.kubernetes.objects import Object, Objects, now
from sandbox.kubernetes.podstatus import set_condition

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
SAFE = "bcdfghjklmnpqrstvwxz2456789"


def reconcile(objects: Objects, namespace: str) -> None:
    """Brings one namespace nearer to what its objects say."""
    deletion.collect_orphans(objects, namespace)
    for deployment in list(objects.every(DEPLOYMENTS, namespace)):
        if "deletionTimestamp" not in deployment["metadata"]:
            _Rollout(objects, deployment).step()
    for replica_set in list(objects.every(REPLICA_SETS, namespace)):
        _scale_pods(objects, replica_set)


def owned(objects: Objects, kind: Kind, owner: Object) -> list[Object]:
    """The objects of a kind whose controller is `owner`."""
    uid = owner["metadata"]["uid"]
    return [
        one
        for one in objects.every(kind, owner["metadata"]["namespace"])
        if any(r.get("controller") and r["uid"] == uid for r in _owners(one))
    ]


def _owners(one: Object) -> list[Object]:
    owners: list[Object] = one["metadata"].get("ownerReferences") or []
    return owners


def owner_reference(owner: Object) -> Object:
    """A controller reference to `owner`."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def random_suffix() -> str:
    """Five characters, as names made from `generateName` end."""
    return "".join(secrets.choice(SAFE) for _ in range(5))


def active(pod: Object) -> bool:
    """Whether a ReplicaSet counts the pod: neither over nor being deleted."""
    over = pod["status"].get("phase") in {"Succeeded", "Failed"}
    return not over and "deletionTimestamp" not in pod["metadata"]


def ready(pod: Object) -> bool:
    """Whether the pod's condition Ready is true."""
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _scale_pods(objects: Objects, replica_set: Object) -> None:
    meta = replica_set["metadata"]
    if "deletionTimestamp" in meta:
        return
    pods = [pod for pod in owned(objects, PODS, replica_set) if active(pod)]
    wanted = replica_set["spec"].get("replicas", 1)
    pods.extend(_create_pod(objects, replica_set) for _ in range(wanted - len(pods)))
    # Not-ready before ready, newest before oldest: the order of the real controller, as far as it matters here.
    doomed = sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
    for pod in sorted(doomed, key=ready)[: max(0, len(pods) - wanted)]:
        deletion.delete(objects, PODS, pod)
        pods.remove(pod)
    count = sum(ready(pod) for pod in pods)

    def change(one: Object) -> None:
        one["status"] = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": count,
            "availableReplicas": count,
            "observedGeneration": one["metadata"]["generation"],
        }

    objects.update(REPLICA_SETS, meta["namespace"], meta["name"], change)


def _create_pod(objects: Objects, replica_set: Object) -> Object:
    meta, template = replica_set["metadata"], replica_set["spec"]["template"]
    own = template.get("metadata") or {}
    pod = {
        "metadata": {
            "name": f"{meta['name']}-{random_suffix()}",
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "labels": own.get("labels") or {},
            "annotations": own.get("annotations") or {},
            "ownerReferences": [owner_reference(replica_set)],
        },
        "spec": template["spec"],
    }
    return objects.create(PODS, admission.admitted(pod))


class _Rollout:
    """One pass of the Deployment controller."""

    def __init__(self, objects: Objects, deployment: Object) -> None:
        self.objects = objects
        self.deployment = deployment
        self.meta = deployment["metadata"]
        self.spec = deployment["spec"]
        self.wanted: int = self.spec.get("replicas", 1)
        self.sets = owned(objects, REPLICA_SETS, deployment)

    def step(self) -> None:
        """Creates the new ReplicaSet when the template changed, moves replicas, writes the status."""
        code = template_hash(self.spec["template"])
        new = next((one for one in self.sets if one["metadata"]["labels"].get(HASH) == code), None)
        paused = self.spec.get("paused", False)
        if new is None and not paused:
            new = self._create_set(code)
            self.sets.append(new)
        old = [one for one in self.sets if new is None or one is not new]
        if new is not None and not paused:
            self._revise(new, old)
            self._move(new, old)
        self._report(new)
        self._prune(old)

    def _create_set(self, code: str) -> Object:
        template = json.loads(json.dumps(self.spec["template"]))
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[HASH] = code
        selector = json.loads(json.dumps(self.spec["selector"]))
        selector.setdefault("matchLabels", {})[HASH] = code
        return self.objects.create(
            REPLICA_SETS,
            {
                "metadata": {
                    "name": f"{self.meta['name']}-{code}",
                    "namespace": self.meta["namespace"],
                    "labels": dict(labels),
                    "annotations": {},
                    "ownerReferences": [owner_reference(self.deployment)],
                },
                "spec": {"replicas": 0, "selector": selector, "template": template},
                "status": {"replicas": 0},
            },
        )

    def _revise(self, new: Object, old: list[Object]) -> None:
        """The newest ReplicaSet carries the highest revision, and the Deployment shows it."""
        highest = max((int(_annotation(one, REVISION) or 0) for one in old), default=0)
        current = int(_annotation(new, REVISION) or 0)
        revision = str(current if current > highest else highest + 1)
        for kind, one in ((REPLICA_SETS, new), (DEPLOYMENTS, self.deployment)):
            self._update(kind, one, lambda held: _annotate(held, REVISION, revision))

    def _move(self, new: Object, old: list[Object]) -> None:
        strategy = self.spec.get("strategy") or {}
        if strategy.get("type") == "Recreate":
            for one in old:
                self._resize(one, 0)
            left = [pod for one in old for pod in owned(self.objects, PODS, one)]
            if not left or new["spec"]["replicas"]:
                self._resize(new, self.wanted)
            return
        rolling = strategy.get("rollingUpdate") or {}
        surge = _share(rolling.get("maxSurge", "25%"), self.wanted, up=True)
        unavailable = _share(rolling.get("maxUnavailable", "25%"), self.wanted, up=False)
        if surge == unavailable == 0:
            unavailable = 1
        elsewhere = sum(one["spec"]["replicas"] for one in old)
        room = max(self.wanted + surge - elsewhere, 0)
        size = min(self.wanted, max(room, min(new["spec"]["replicas"], self.wanted)))
        self._resize(new, size)
        pods = [pod for one in [new, *old] for pod in owned(self.objects, PODS, one) if active(pod)]
        spare = sum(map(ready, pods)) - (self.wanted - unavailable)
        for one in sorted(old, key=lambda one: int(_annotation(one, REVISION) or 0)):
            held = one["spec"]["replicas"]
            sick = held - sum(ready(p) for p in owned(self.objects, PODS, one) if active(p))
            if self.wanted == 0:
                self._resize(one, 0)
            elif held:
                taken = min(held, max(0, spare) + max(0, sick))
                spare -= max(0, taken - sick)
                self._resize(one, held - taken)

    def _resize(self, replica_set: Object, size: int) -> None:
        self._update(REPLICA_SETS, replica_set, lambda one: one["spec"].update(replicas=size))

    def _update(self, kind: Kind, one: Object, change: Callable[[Object], None]) -> None:
        meta = one["metadata"]
        self.objects.update(kind, meta["namespace"], meta["name"], change)

    def _report(self, new: Object | None) -> None:
        pods = [p for one in self.sets for p in owned(self.objects, PODS, one) if active(p)]
        fresh = [] if new is None else [p for p in owned(self.objects, PODS, new) if active(p)]
        available = sum(map(ready, pods))
        done = len(fresh) == len(pods) == available == self.wanted
        name = new["metadata"]["name"] if new else ""
        least = self.wanted - _share("25%", self.wanted, up=False)

        def change(one: Object) -> None:
            status = one.setdefault("status", {})
            moved = (status.get("updatedReplicas"), status.get("readyReplicas")) != (
                len(fresh),
                available,
            )
            status |= {
                "observedGeneration": one["metadata"]["generation"],
                "replicas": len(pods),
                "updatedReplicas": len(fresh),
                "readyReplicas": available,
                "availableReplicas": available,
                "unavailableReplicas": max(0, self.wanted - available),
            }
            enough = available >= least
            set_condition(
                status,
                "Available",
                value=enough,
                reason="MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
                message=f"Deployment {'has' if enough else 'does not have'} minimum availability.",
            )
            self._progress(status, name, done=done, moved=moved)

        self._update(DEPLOYMENTS, self.deployment, change)

    def _progress(self, status: Object, name: str, *, done: bool, moved: bool) -> None:
        held = next((c for c in status["conditions"] if c["type"] == "Progressing"), None)
        since = held["lastUpdateTime"] if held and not moved else now()
        limit = self.spec.get("progressDeadlineSeconds", 600)
        waited = datetime.now(UTC) - datetime.fromisoformat(since)
        if done:
            value, reason, text = True, "NewReplicaSetAvailable", "has successfully progressed."
        elif waited.total_seconds() > limit:
            value, reason, text = False, "ProgressDeadlineExceeded", "has timed out progressing."
        else:
            value, reason, text = True, "ReplicaSetUpdated", "is progressing."
        message = f'ReplicaSet "{name}" {text}'
        if held and held["reason"] == reason:
            since = held["lastUpdateTime"] if not moved else since
        set_condition(
            status, "Progressing", value=value, reason=reason, message=message, lastUpdateTime=since
        )

    def _prune(self, old: list[Object]) -> None:
        limit = self.spec.get("revisionHistoryLimit", 10)
        empty = [one for one in old if not one["spec"]["replicas"] and not one["status"]["replicas"]]
        empty.sort(key=lambda one: int(_annotation(one, REVISION) or 0))
        for one in empty[: max(0, len(empty) - limit)]:
            deletion.delete(self.objects, REPLICA_SETS, one)


def template_hash(template: Object) -> str:
    """The `pod-template-hash` of a pod template: ten characters of the alphabet of real ones."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(SAFE[byte % len(SAFE)] for byte in digest[:10])


def _share(value: int | str, whole: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    part = int(value.rstrip("%")) * whole / 100
    return math.ceil(part) if up else math.floor(part)


def _annotation(one: Object, name: str) -> str | None:
    value: str | None = (one["metadata"].get("annotations") or {}).get(name)
    return value


def _annotate(one: Object, name: str, value: str) -> None:
    one["metadata"].setdefault("annotations", {})[name] = value
