"""The scale subresource: an autoscaling/v1 Scale in front of a Deployment or ReplicaSet."""

from __future__ import annotations

from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.objects import Object


def scale_of(shown: Object) -> Object:
    """The Scale that shows a Deployment or ReplicaSet."""
    meta = shown["metadata"]
    labels = (shown["spec"].get("selector") or {}).get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept},
        "spec": {"replicas": shown["spec"].get("replicas", 1)},
        "status": {"replicas": (shown.get("status") or {}).get("replicas", 0), "selector": selector},
    }


def rescaled(target: Object, scale: Object) -> Object:
    """Write the replicas of `scale` into `target`, a copy that may be changed; Refusal 422 for an invalid number."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = ("FieldValueInvalid", text, "spec.replicas")
        raise statuses.invalid("Scale", "autoscaling", target["metadata"]["name"], [cause])
    target["spec"]["replicas"] = replicas
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version:
        target["metadata"]["resourceVersion"] = version
    return target
