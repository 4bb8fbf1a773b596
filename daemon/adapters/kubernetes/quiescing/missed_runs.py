"""The runs of a CronJob that fell into its rest, and which of them Kubernetes makes up for.

Source: Kubernetes reference, CronJob, "Schedule suspension", `startingDeadlineSeconds`, `timeZone`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from daemon.adapters.kubernetes.documents import Document
from daemon.adapters.kubernetes.workloads.memory import Memory
from schemas.cron import runs
from schemas.quiescing import ObjectRef

_MOST = 100
"""Runs that are counted: Kubernetes starts none where it missed more."""


def text(target: ObjectRef, cron_job: Document, memory: Memory, now: datetime) -> str:
    """Say how many runs fell into the rest, when the last one was due, and what becomes of it; empty where none did."""
    spec, since = cron_job.get("spec") or {}, memory.since_when
    if since is None or memory.original.get("suspend") is True:
        return ""
    try:
        missed = list(islice(_due(spec, since, now), _MOST + 1))
    except (ValueError, KeyError, TypeError):
        return f"whether runs of {target} fell into its rest can't be told: {spec.get('schedule')}"
    if not missed:
        return ""
    count = f"more than {_MOST} runs" if len(missed) > _MOST else _runs(len(missed))
    said = f"{count} of {target} fell into its rest, the last one of {missed[-1].astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is None and len(missed) > _MOST:
        return f"{said} or later: Kubernetes starts none that it missed"
    if deadline is None or (now - missed[-1]).total_seconds() <= deadline:
        return f"{said}: Kubernetes starts that one now"
    return f"{said}: Kubernetes starts none that is {deadline} s late"


def _due(spec: Document, since: datetime, now: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(str(spec.get("timeZone") or "UTC"))
    return takewhile(lambda due: due <= now, runs(str(spec["schedule"]), since.astimezone(zone)))


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
