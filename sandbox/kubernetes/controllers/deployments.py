"""The controller of Deployments: a ReplicaSet for each template, and replicas moved between them by the strategy."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime

from sandbox.kubernetes.objects import deletion
from sandbox.kubernetes.objects.conditions import set_condition
from sandbox.kubernetes.objects.kinds import DEPLOYMENTS, PODS, REPLICA_SETS, Kind
from sandbox.kubernetes.objects.objects import Object, Objects, now
from sandbox.kubernetes.objects.ownership import SAFE, active, owned, owner_reference, ready

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


class Rollout:
    """One pass over one Deployment."""

    def __init__(self, objects: Objects, deployment: Object) -> None:
        self.objects = objects
        self.deployment = deployment
        self.meta = deployment["metadata"]
        self.spec = deployment["spec"]
        self.wanted: int = self.spec.get("replicas", 1)
        self.sets = owned(objects, REPLICA_SETS, deployment)

    def step(self) -> None:
        """Create the ReplicaSet of a changed template, move replicas, and write the status."""
        code = template_hash(self.spec["template"])
        new = next((held for held in self.sets if held["metadata"]["labels"].get(HASH) == code), None)
        paused = self.spec.get("paused", False)
        if new is None and not paused:
            new = self._create_set(code)
            self.sets.append(new)
        old = [replica_set for replica_set in self.sets if new is None or replica_set is not new]
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
        """Give the newest ReplicaSet the highest revision, and write the revision into the Deployment, too."""
        highest = max(map(_revision, old), default=0)
        current = _revision(new)
        revision = str(current if current > highest else highest + 1)
        for kind, revised in ((REPLICA_SETS, new), (DEPLOYMENTS, self.deployment)):
            self._update(kind, revised, lambda stored: _annotate(stored, REVISION, revision))

    def _move(self, new: Object, old: list[Object]) -> None:
        strategy = self.spec.get("strategy") or {}
        if strategy.get("type") == "Recreate":
            for replica_set in old:
                self._resize(replica_set, 0)
            left = [pod for replica_set in old for pod in owned(self.objects, PODS, replica_set)]
            if not left or new["spec"]["replicas"]:
                self._resize(new, self.wanted)
            return
        rolling = strategy.get("rollingUpdate") or {}
        surge = _share(rolling.get("maxSurge", "25%"), self.wanted, up=True)
        unavailable = _share(rolling.get("maxUnavailable", "25%"), self.wanted, up=False)
        if surge == unavailable == 0:
            unavailable = 1
        elsewhere = sum(replica_set["spec"]["replicas"] for replica_set in old)
        room = max(self.wanted + surge - elsewhere, 0)
        size = min(self.wanted, max(room, min(new["spec"]["replicas"], self.wanted)))
        self._resize(new, size)
        pods = [pod for replica_set in [new, *old] for pod in self._active_pods(replica_set)]
        spare = sum(map(ready, pods)) - (self.wanted - unavailable)
        for replica_set in sorted(old, key=_revision):
            held = replica_set["spec"]["replicas"]
            sick = held - sum(map(ready, self._active_pods(replica_set)))
            if self.wanted == 0:
                self._resize(replica_set, 0)
            elif held:
                taken = min(held, max(0, spare) + max(0, sick))
                spare -= max(0, taken - sick)
                self._resize(replica_set, held - taken)

    def _resize(self, replica_set: Object, size: int) -> None:
        self._update(REPLICA_SETS, replica_set, lambda stored: stored["spec"].update(replicas=size))

    def _active_pods(self, replica_set: Object) -> list[Object]:
        return [pod for pod in owned(self.objects, PODS, replica_set) if active(pod)]

    def _update(self, kind: Kind, updated: Object, change: Callable[[Object], None]) -> None:
        meta = updated["metadata"]
        self.objects.update(kind, meta["namespace"], meta["name"], change)

    def _report(self, new: Object | None) -> None:
        pods = [pod for replica_set in self.sets for pod in self._active_pods(replica_set)]
        fresh = [] if new is None else self._active_pods(new)
        available = sum(map(ready, pods))
        done = len(fresh) == len(pods) == available == self.wanted
        name = new["metadata"]["name"] if new else ""
        least = self.wanted - _share("25%", self.wanted, up=False)

        def change(stored: Object) -> None:
            status = stored.setdefault("status", {})
            moved = (status.get("updatedReplicas"), status.get("readyReplicas")) != (
                len(fresh),
                available,
            )
            status |= {
                "observedGeneration": stored["metadata"]["generation"],
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
        empty = [held for held in old if not held["spec"]["replicas"] and not held["status"]["replicas"]]
        empty.sort(key=_revision)
        for replica_set in empty[: max(0, len(empty) - limit)]:
            deletion.delete(self.objects, REPLICA_SETS, replica_set)


def template_hash(template: Object) -> str:
    """The `pod-template-hash` of a pod template: ten characters of the alphabet that real hashes have."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(SAFE[byte % len(SAFE)] for byte in digest[:10])


def _share(value: int | str, whole: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    part = int(value.rstrip("%")) * whole / 100
    return math.ceil(part) if up else math.floor(part)


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION) or 0)


def _annotate(stored: Object, name: str, value: str) -> None:
    stored["metadata"].setdefault("annotations", {})[name] = value
