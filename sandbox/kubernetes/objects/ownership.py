"""Which object owns which, and which pods a controller counts."""

from __future__ import annotations

import secrets

from sandbox.kubernetes.objects.kinds import Kind
from sandbox.kubernetes.objects.objects import Object, Objects

SAFE = "bcdfghjklmnpqrstvwxz2456789"


def owned(objects: Objects, kind: Kind, owner: Object) -> list[Object]:
    """The objects of a kind whose controller is `owner`."""
    uid = owner["metadata"]["uid"]
    return [
        candidate
        for candidate in objects.every(kind, owner["metadata"]["namespace"])
        if any(r.get("controller") and r["uid"] == uid for r in _owners(candidate))
    ]


def _owners(candidate: Object) -> list[Object]:
    owners: list[Object] = candidate["metadata"].get("ownerReferences") or []
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
    """Five characters, as at the end of a name that was made from `generateName`."""
    return "".join(secrets.choice(SAFE) for _ in range(5))


def active(pod: Object) -> bool:
    """Whether a ReplicaSet counts the pod: it has neither ended nor is it being deleted."""
    over = pod["status"].get("phase") in {"Succeeded", "Failed"}
    return not over and "deletionTimestamp" not in pod["metadata"]


def ready(pod: Object) -> bool:
    """Whether the pod's condition Ready is true."""
    conditions = pod["status"].get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
