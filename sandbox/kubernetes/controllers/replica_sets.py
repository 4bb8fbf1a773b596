"""The controller of ReplicaSets: it keeps as many active pods as `spec.replicas` says."""

from __future__ import annotations

from sandbox.kubernetes.objects import admission, deletion
from sandbox.kubernetes.objects.kinds import PODS, REPLICA_SETS
from sandbox.kubernetes.objects.objects import Object, Objects
from sandbox.kubernetes.objects.ownership import active, owned, owner_reference, random_suffix, ready


def reconcile(objects: Objects, replica_set: Object) -> None:
    """Create or delete pods of a ReplicaSet, and write its status."""
    meta = replica_set["metadata"]
    if "deletionTimestamp" in meta:
        return
    pods = [pod for pod in owned(objects, PODS, replica_set) if active(pod)]
    wanted = replica_set["spec"].get("replicas", 1)
    pods.extend(_create_pod(objects, replica_set) for _ in range(wanted - len(pods)))
    # The real controller's order, as far as it matters here: unready pods go before ready ones, newest before oldest.
    doomed = sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
    for pod in sorted(doomed, key=ready)[: max(0, len(pods) - wanted)]:
        deletion.delete(objects, PODS, pod)
        pods.remove(pod)
    count = sum(ready(pod) for pod in pods)

    def change(stored: Object) -> None:
        stored["status"] = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": count,
            "availableReplicas": count,
            "observedGeneration": stored["metadata"]["generation"],
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
    return objects.create(PODS, admission.admitted(objects, pod))
