"""Deletion: the grace of pods, finalizers, owned objects, and namespaces that are emptied first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.kinds import (
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    KINDS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    STATEFUL_SETS,
    Kind,
)
from sandbox.kubernetes.objects.objects import Object, Objects, now

OWNERS = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, ROLLOUTS, CRON_JOBS, JOBS)
_KINDS_OF_OWNERS = frozenset(kind.kind for kind in OWNERS)


def delete(
    objects: Objects, kind: Kind, stored: Object, options: dict[str, Any] | None = None
) -> Object | None:
    """Delete an object as DeleteOptions say.

    Returns the object when it lives on for a while, None when it is gone. Refusal 409 when a precondition (uid,
    resourceVersion) does not hold.
    """
    options = options or {}
    meta = stored["metadata"]
    _check(kind, meta, options.get("preconditions") or {})
    if options.get("propagationPolicy") == "Orphan":
        _set_free(objects, stored)
    place = meta.get("namespace", ""), meta["name"]
    if kind is PODS:
        return _delete_pod(objects, stored, options.get("gracePeriodSeconds"))
    if kind is NAMESPACES:
        return objects.update(kind, *place, _terminating)
    if meta.get("finalizers"):
        return objects.update(kind, *place, lambda held: _stamp(held, 0))
    objects.remove(kind, *place)
    return None


def _check(kind: Kind, meta: Object, wanted: dict[str, str]) -> None:
    for field, key, label in (
        ("uid", "uid", "UID"),
        ("resourceVersion", "resourceVersion", "ResourceVersion"),
    ):
        if field in wanted and wanted[field] != meta[key]:
            why = (
                f"Precondition failed: {label} in precondition: {wanted[field]}, "
                f"{label} in object meta: {meta[key]}"
            )
            raise statuses.conflict(kind.plural, kind.group, meta["name"], why)


def _delete_pod(objects: Objects, pod: Object, grace: int | None) -> Object | None:
    meta = pod["metadata"]
    place = meta["namespace"], meta["name"]
    seconds = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
    over = pod["status"].get("phase") in {"Succeeded", "Failed"}
    if seconds == 0 or over:
        objects.remove(PODS, *place)
        return None
    if meta.get("deletionGracePeriodSeconds", seconds + 1) <= seconds:
        return pod
    return objects.update(PODS, *place, lambda held: _stamp(held, seconds))


def _stamp(deleted: Object, seconds: int) -> None:
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    deleted["metadata"]["deletionTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    deleted["metadata"]["deletionGracePeriodSeconds"] = seconds


def _terminating(namespace: Object) -> None:
    namespace["metadata"].setdefault("deletionTimestamp", now())
    namespace["status"] = {"phase": "Terminating"}


def _set_free(objects: Objects, owner: Object) -> None:
    """Remove the owner from the objects that it owns (propagationPolicy Orphan)."""
    uid = owner["metadata"]["uid"]
    for kind in KINDS:
        for candidate in list(objects.every(kind, owner["metadata"].get("namespace", ""))):
            meta = candidate["metadata"]
            kept = [r for r in meta.get("ownerReferences") or [] if r["uid"] != uid]
            if len(kept) != len(meta.get("ownerReferences") or []):

                def change(held: Object, kept: list[Object] = kept) -> None:
                    held["metadata"]["ownerReferences"] = kept

                objects.update(kind, meta.get("namespace", ""), meta["name"], change)


def collect_orphans(objects: Objects, namespace: str) -> None:
    """Delete what is owned by a workload that is gone."""
    uids = {owner["metadata"]["uid"] for kind in OWNERS for owner in objects.every(kind, namespace)}
    for kind in (REPLICA_SETS, JOBS, PODS):
        for owned in list(objects.every(kind, namespace)):
            owners = owned["metadata"].get("ownerReferences") or []
            ours = [r for r in owners if r.get("kind") in _KINDS_OF_OWNERS]
            going = "deletionTimestamp" in owned["metadata"]
            if ours and not going and not any(r["uid"] in uids for r in ours):
                delete(objects, kind, owned)


def empty_namespaces(objects: Objects) -> None:
    """Delete what is in each namespace that is Terminating, and the namespace once it is empty."""
    for namespace in list(objects.every(NAMESPACES)):
        if "deletionTimestamp" not in namespace["metadata"]:
            continue
        name = namespace["metadata"]["name"]
        left = False
        for kind in KINDS:
            for content in list(objects.every(kind, name)) if kind.namespaced else []:
                left = True
                if "deletionTimestamp" not in content["metadata"]:
                    delete(objects, kind, content)
        if not left:
            objects.remove(NAMESPACES, "", name)
