"""The scale subresource: an autoscaling/v1 Scale in front of a Deployment or ReplicaSet."""

from __future__ import annotations

from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.objects import Object


def scale_of(one: Object) -> Object:
    """The Scale that shows `one`."""
    meta = one["metadata"]
    labels = (one["spec"].get("selector") or {}).get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept},
        "spec": {"replicas": one["spec"].get("replicas", 1)},
        "status": {"replicas": (one.get("status") or {}).get("replicas", 0), "selector": selector},
    }


def rescaled(one: Object, scale: Object) -> Object:
    """`one` (a copy that may be written to) with the replicas of `scale`; Refusal 422 when they are none."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = ("FieldValueInvalid", text, "spec.replicas")
        raise statuses.invalid("Scale", "autoscaling", one["metadata"]["name"], [cause])
    one["spec"]["replicas"] = replicas
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version:
        one["metadata"]["resourceVersion"] = version
    return one
