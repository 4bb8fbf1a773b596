"""The conditions in an object's status, such as a pod's `Ready` or a Deployment's `Available`."""

from __future__ import annotations

from sandbox.kubernetes.objects.objects import Object, now


def set_condition(status: Object, kind: str, *, value: bool, **more: str) -> None:
    """Set one condition; its transition time changes only when its value does."""
    conditions: list[Object] = status.setdefault("conditions", [])
    held = next((condition for condition in conditions if condition["type"] == kind), None)
    text = "True" if value else "False"
    fresh = {"type": kind, "status": text, "lastProbeTime": None} | more
    if held is None:
        conditions.append(fresh | {"lastTransitionTime": now()})
    else:
        moved = now() if held["status"] != text else held.get("lastTransitionTime", now())
        conditions[conditions.index(held)] = fresh | {"lastTransitionTime": moved}
