"""Jobs that a CronJob or a ScaledJob has started."""

from __future__ import annotations

from daemon.adapters.kubernetes.documents import Document, Documents, ObjectKind
from schemas.quiescing import SCALED_OBJECT, ObjectRef

JOBS = ObjectKind("Job", "batch", "v1", "jobs")
_OVER = frozenset({"Complete", "Failed"})
"""Conditions after which no pod of a Job runs.

Source: Kubernetes reference, Job, "Terminal Job conditions".
"""


async def unfinished(documents: Documents, target: ObjectRef, document: Document) -> tuple[str, ...]:
    """Name the Jobs of an object that may still have pods."""
    if target.kind == SCALED_OBJECT:
        return ()
    uid = document["metadata"]["uid"]
    return tuple(
        f"job {each['metadata']['name']}"
        for each in await documents.list(JOBS, target.environment)
        if any(owner.get("uid") == uid for owner in each["metadata"].get("ownerReferences") or ())
        and not _is_over(each)
    )


def _is_over(job: Document) -> bool:
    status = job.get("status") or {}
    ended = any(
        each.get("type") in _OVER and each.get("status") == "True" for each in status.get("conditions") or ()
    )
    rests = (job.get("spec") or {}).get("suspend") is True and not status.get("active")
    return ended or rests
