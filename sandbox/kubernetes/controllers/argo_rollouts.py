"""The controller of Argo Rollouts, as far as a reader sees it: a ReplicaSet for each template, with a hash of its own.

A Rollout has its template itself, or refers to a Deployment (`workloadRef`). It moves to a new template at once.
"""

from __future__ import annotations

import copy

from sandbox.kubernetes.controllers.deployments import template_hash
from sandbox.kubernetes.objects.kinds import DEPLOYMENTS, REPLICA_SETS, ROLLOUTS
from sandbox.kubernetes.objects.objects import Object, Objects
from sandbox.kubernetes.objects.ownership import owned, owner_reference

HASH = "rollouts-pod-template-hash"
REVISION = "rollout.argoproj.io/revision"


def reconcile(objects: Objects, rollout: Object) -> None:
    """Create the ReplicaSet of the template, give it all replicas, and write the status."""
    template = _template(objects, rollout)
    if template is None:
        return
    # A hash of its own: a Deployment of the same name and template has other ReplicaSets.
    code = template_hash({"rollout": template})
    sets = owned(objects, REPLICA_SETS, rollout)
    new = next((each for each in sets if each["metadata"]["labels"].get(HASH) == code), None)
    if new is None:
        new = _create(objects, rollout, template, code, revision=len(sets) + 1)
        sets.append(new)
    for each in sets:
        wanted = rollout["spec"].get("replicas", 1) if each is new else 0
        meta = each["metadata"]

        def change(stored: Object, wanted: int = wanted) -> None:
            stored["spec"]["replicas"] = wanted

        objects.update(REPLICA_SETS, meta["namespace"], meta["name"], change)
    _report(objects, rollout, new, sets)


def _report(objects: Objects, rollout: Object, new: Object, sets: list[Object]) -> None:
    """Write the status as the real controller does: the generation as text."""
    meta = rollout["metadata"]
    statuses = [objects.get(REPLICA_SETS, meta["namespace"], each["metadata"]["name"]) for each in sets]
    of_new = next(each for each in statuses if each["metadata"]["uid"] == new["metadata"]["uid"])["status"]

    def change(stored: Object) -> None:
        stored["status"] = {
            "observedGeneration": str(meta["generation"]),
            "replicas": sum(each["status"].get("replicas", 0) for each in statuses),
            "readyReplicas": sum(each["status"].get("readyReplicas", 0) for each in statuses),
            "updatedReplicas": of_new.get("replicas", 0),
            "availableReplicas": of_new.get("availableReplicas", 0),
        }

    objects.update(ROLLOUTS, meta["namespace"], meta["name"], change)


def _template(objects: Objects, rollout: Object) -> Object | None:
    spec = rollout["spec"]
    if spec.get("template"):
        own: Object = spec["template"]
        return own
    referred = objects.find(DEPLOYMENTS, rollout["metadata"]["namespace"], spec["workloadRef"]["name"])
    return referred["spec"]["template"] if referred else None


def _create(objects: Objects, rollout: Object, template: Object, code: str, *, revision: int) -> Object:
    meta = rollout["metadata"]
    template = copy.deepcopy(template)
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH] = code
    return objects.create(
        REPLICA_SETS,
        {
            "metadata": {
                "name": f"{meta['name']}-{code}",
                "namespace": meta["namespace"],
                "labels": dict(labels),
                "annotations": {REVISION: str(revision)},
                "ownerReferences": [owner_reference(rollout)],
            },
            "spec": {"replicas": 0, "selector": {"matchLabels": dict(labels)}, "template": template},
            "status": {"replicas": 0},
        },
    )
