"""The controller of StatefulSets, as far as a reader sees it: pods `NAME-0`, `NAME-1`, ..., which it owns itself."""

from __future__ import annotations

import copy

from sandbox.kubernetes.controllers.deployments import template_hash
from sandbox.kubernetes.objects import admission, deletion
from sandbox.kubernetes.objects.kinds import PODS, STATEFUL_SETS
from sandbox.kubernetes.objects.objects import Object, Objects
from sandbox.kubernetes.objects.ownership import owned, owner_reference, ready

REVISION = "controller-revision-hash"


def reconcile(objects: Objects, stateful_set: Object) -> None:
    """Create the pods that are missing, delete those beyond the replicas, and write the status."""
    meta, spec = stateful_set["metadata"], stateful_set["spec"]
    names = [f"{meta['name']}-{number}" for number in range(spec.get("replicas", 1))]
    for pod in owned(objects, PODS, stateful_set):
        if pod["metadata"]["name"] not in names and "deletionTimestamp" not in pod["metadata"]:
            deletion.delete(objects, PODS, pod)
    for name in names:
        if objects.find(PODS, meta["namespace"], name) is None:
            objects.create(PODS, admission.admitted(objects, _pod(stateful_set, name)))
    pods, revision = owned(objects, PODS, stateful_set), _revision(stateful_set)

    def change(stored: Object) -> None:
        stored["status"] = {
            "replicas": len(pods),
            "readyReplicas": sum(map(ready, pods)),
            "updatedReplicas": sum(each["metadata"]["labels"].get(REVISION) == revision for each in pods),
            "updateRevision": revision,
            "observedGeneration": meta["generation"],
        }

    objects.update(STATEFUL_SETS, meta["namespace"], meta["name"], change)


def _revision(stateful_set: Object) -> str:
    return f"{stateful_set['metadata']['name']}-{template_hash(stateful_set['spec']['template'])}"


def _pod(stateful_set: Object, name: str) -> Object:
    meta, template = stateful_set["metadata"], stateful_set["spec"]["template"]
    own = copy.deepcopy(template.get("metadata") or {})
    return {
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": (own.get("labels") or {})
            | {
                REVISION: _revision(stateful_set),
                "statefulset.kubernetes.io/pod-name": name,
            },
            "annotations": own.get("annotations") or {},
            "ownerReferences": [owner_reference(stateful_set)],
        },
        "spec": template["spec"],
    }
