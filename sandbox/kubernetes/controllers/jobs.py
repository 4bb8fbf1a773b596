"""The controllers of CronJobs and Jobs: a Job for each time that is due, and one pod for each Job, tried once.

A CronJob that is suspended starts nothing. Once it is not, the last run that it missed starts at once, unless it is
later than `startingDeadlineSeconds`. `concurrencyPolicy` and the limits of history are left out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from sandbox.kubernetes.objects import admission
from sandbox.kubernetes.objects.conditions import set_condition
from sandbox.kubernetes.objects.kinds import CRON_JOBS, JOBS, PODS
from sandbox.kubernetes.objects.objects import Object, Objects, now
from sandbox.kubernetes.objects.ownership import owned, owner_reference, random_suffix
from schemas.cron import runs

_MOST = 100
"""Runs that may have been missed: after more than these the real controller starts none."""


def start_due(objects: Objects, cron_job: Object, moment: datetime) -> None:
    """Create the Job of the last run that is due, and note when that was."""
    meta, spec = cron_job["metadata"], cron_job["spec"]
    due = None if spec.get("suspend") else _last_due(cron_job, moment)
    if due is None:
        return
    stamp = due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    name = f"{meta['name']}-{int(due.timestamp()) // 60}"
    if objects.find(JOBS, meta["namespace"], name) is None:
        made = {
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "ownerReferences": [owner_reference(cron_job)],
            },
            "spec": spec["jobTemplate"]["spec"],
            "status": {},
        }
        objects.create(JOBS, made)

    def change(stored: Object) -> None:
        stored["status"] = {**(stored.get("status") or {}), "lastScheduleTime": stamp}

    objects.update(CRON_JOBS, meta["namespace"], meta["name"], change)


def _last_due(cron_job: Object, moment: datetime) -> datetime | None:
    spec, status = cron_job["spec"], cron_job.get("status") or {}
    since = datetime.fromisoformat(
        status.get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"]
    )
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None:
        since = max(since, moment - timedelta(seconds=deadline))
    try:
        zone = ZoneInfo(spec.get("timeZone") or "UTC")
        past = takewhile(lambda one: one <= moment, runs(spec["schedule"], since.astimezone(zone)))
    except (ValueError, KeyError):
        return None
    due = list(islice(past, _MOST + 1))
    return due[-1] if due and len(due) <= _MOST else None


def reconcile(objects: Objects, job: Object) -> None:
    """Create the pod of a Job, and write its status until it is over."""
    meta, status = job["metadata"], job.get("status") or {}
    if status.get("conditions") or job["spec"].get("suspend"):
        return
    pods = owned(objects, PODS, job) or [_create_pod(objects, job)]
    phases = [pod["status"].get("phase") for pod in pods]

    def change(stored: Object) -> None:
        held = stored["status"] = {
            "startTime": (stored.get("status") or {}).get("startTime") or now(),
            "active": sum(phase not in {"Succeeded", "Failed"} for phase in phases),
            "succeeded": phases.count("Succeeded"),
            "failed": phases.count("Failed"),
        }
        if "Succeeded" in phases:
            set_condition(held, "Complete", value=True)
        elif "Failed" in phases:
            set_condition(held, "Failed", value=True, reason="BackoffLimitExceeded")

    objects.update(JOBS, meta["namespace"], meta["name"], change)


def _create_pod(objects: Objects, job: Object) -> Object:
    meta, template = job["metadata"], job["spec"]["template"]
    own = template.get("metadata") or {}
    pod = {
        "metadata": {
            "name": f"{meta['name']}-{random_suffix()}",
            "namespace": meta["namespace"],
            "labels": (own.get("labels") or {}) | {"batch.kubernetes.io/job-name": meta["name"]},
            "annotations": own.get("annotations") or {},
            "ownerReferences": [owner_reference(job)],
        },
        "spec": {"restartPolicy": "Never", **template["spec"]},
    }
    return objects.create(PODS, admission.admitted(objects, pod))
