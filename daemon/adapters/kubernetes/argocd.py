"""ArgoCD's Application of an environment: may the environment be reset, or is ArgoCD at work on it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from daemon.adapters.kubernetes.argocd_source import compares_something_else
from daemon.adapters.kubernetes.client import Kubernetes
from daemon.adapters.kubernetes.documents import APPLICATION_KIND, Document, Documents, ObjectKind
from daemon.adapters.kubernetes.workloads.memory import UnreadableMemoryError, memory_of
from daemon.ports.deployments import Gate
from schemas.wire import ResetId

APPLICATIONS = ObjectKind(*APPLICATION_KIND)
REFRESH_ANNOTATION = "argocd.argoproj.io/refresh"


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


class ArgoGate:
    """Implements `daemon.ports.deployments.Deployments`.

    Args:
        kubernetes: The connection, from `open_kubernetes`.
        namespace: Where Applications live; empty where there is no ArgoCD, and every gate is open.
        fresh_within: Seconds after which a status counts as stale. ArgoCD compares every 3 minutes.
        now: Tells the time, aware.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        namespace: str,
        *,
        fresh_within: float = 1800.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = Documents(kubernetes.rest)
        self._namespace = namespace
        self._fresh_within = fresh_within
        self._now = now

    async def gate(self, environment: str) -> Gate:
        """See the port. The Application is named after the environment."""
        if not self._namespace:
            return Gate(open=True, reason="no ArgoCD is set")
        application = await self._documents.get(APPLICATIONS, self._namespace, environment)
        if application is None:
            return Gate(open=False, reason=f"ArgoCD has no Application {environment}")
        if held_by := _held_by(application):
            reason = f"the sync of the Application {environment} is held by {', '.join(held_by)}"
            return Gate(open=False, reason=reason, held_by=held_by)
        try:
            reason = closed_because(application, self._now(), self._fresh_within)
        except (AttributeError, TypeError, KeyError):
            # No version of ArgoCD writes that. A person may have.
            reason = f"the Application {environment} is in a shape that can't be read"
        return Gate(open=not reason, reason=reason)


def _held_by(application: Document) -> tuple[ResetId, ...]:
    """The resets that hold the automated sync of an Application. What a person has made of the annotation says none."""
    try:
        memory = memory_of(application)
    except UnreadableMemoryError:
        return ()
    return tuple(memory.resets) if memory is not None else ()


def closed_because(application: Mapping[str, Any], now: datetime, fresh_within: float) -> str:
    """Say why a reset has to wait, for people; empty where it does not.

    Args:
        application: As the API server's JSON has it.
        now: The time, aware.
        fresh_within: As `ArgoGate` takes it.
    """
    metadata, status = application.get("metadata") or {}, application.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "the Application is being deleted"
    if is_syncing(application):
        return "ArgoCD is syncing"
    for condition in status.get("conditions") or ():
        if str(condition.get("type", "")).endswith("Error"):
            return f"{condition['type']}: {condition.get('message', '')}"[:300]
    said = sync_and_health(application)
    if said != ("Synced", "Healthy"):
        return f"ArgoCD says {' and '.join(said)}"
    return _stale_because(application, now, fresh_within)


def is_syncing(application: Mapping[str, Any]) -> bool:
    """Tell whether an operation of ArgoCD is asked for or runs."""
    phase = ((application.get("status") or {}).get("operationState") or {}).get("phase")
    return bool(application.get("operation")) or phase in {"Running", "Terminating"}


def sync_and_health(application: Mapping[str, Any]) -> tuple[str, str]:
    """Return what ArgoCD says of both; `Unknown` where it says nothing."""
    status = application.get("status") or {}
    sync, health = (status.get(part) or {} for part in ("sync", "health"))
    return sync.get("status", "Unknown"), health.get("status", "Unknown")


def was_asked(application: Mapping[str, Any]) -> bool:
    """Tell whether ArgoCD was asked to look and has not yet."""
    return bool(((application.get("metadata") or {}).get("annotations") or {}).get(REFRESH_ANNOTATION))


def _stale_because(application: Mapping[str, Any], now: datetime, fresh_within: float) -> str:
    """Say why a status is out of date; empty where it is fresh.

    A stale one describes a source of before, or was left by a controller that does not run.
    """
    status = application["status"]
    if was_asked(application):
        return "ArgoCD was asked to look again and has not yet"
    compared = (status.get("sync") or {}).get("comparedTo") or {}
    if compares_something_else(application.get("spec") or {}, compared):
        return "ArgoCD has not looked at the Application's present source yet"
    try:
        reconciled = datetime.fromisoformat(status.get("reconciledAt") or "")
        age = (now - reconciled).total_seconds()
    except (TypeError, ValueError):
        return "ArgoCD has not looked at the Application yet"
    return f"ArgoCD's status is {age:.0f} s old" if age > fresh_within else ""
