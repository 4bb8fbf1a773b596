"""Whether what was released runs again: by the workload's own status, and by ArgoCD where it has looked since."""

from __future__ import annotations

from datetime import datetime

from daemon.adapters.kubernetes.argocd import is_syncing, sync_and_health, was_asked
from daemon.adapters.kubernetes.documents import Document
from daemon.adapters.kubernetes.quiescing.kinds import replicas_of
from schemas.quiescing import ObjectRef


def why_not_running(target: ObjectRef, document: Document) -> str:
    """Say why a workload does not run as it asks for; empty where it does."""
    wanted, status = replicas_of(document), document.get("status") or {}
    if _is_unseen(document):
        return f"nobody has looked at {target} since it was released"
    ready = int(status.get("readyReplicas") or 0)
    updated = int(status.get("updatedReplicas") or 0)
    if ready < wanted or updated < wanted - _kept_back(document):
        return f"{target} has {min(ready, updated + _kept_back(document))} of {wanted} pods ready"
    return ""


def _kept_back(document: Document) -> int:
    """The pods that a StatefulSet keeps of its former template.

    Source: Kubernetes reference, StatefulSet `updateStrategy.rollingUpdate.partition`.
    """
    strategy = (document.get("spec") or {}).get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def is_behind(document: Document) -> bool:
    """Tell whether a workload's controller has not seen yet what it asks for, or still counts more pods than that."""
    replicas = int((document.get("status") or {}).get("replicas") or 0)
    return _is_unseen(document) or replicas > replicas_of(document)


def _is_unseen(document: Document) -> bool:
    """A Rollout writes its generation as text, which was a hash before 1.0: that says nothing."""
    observed = str((document.get("status") or {}).get("observedGeneration") or "0")
    generation = int((document.get("metadata") or {}).get("generation", 0))
    return observed.isdigit() and int(observed) < generation


def why_not_believed(document: Document, since: datetime | None) -> str:
    """Say why ArgoCD's word on an Application does not count as healthy; empty where it does.

    ArgoCD takes the request to look off the Application in the very write that says what it saw. So one that bears no
    request any more was looked at since it was asked. `since` shows that it was ArgoCD who took it off; both times are
    in whole seconds, and neither is the daemon's.

    Source: argoproj/argo-cd, `persistAppStatus`.
    """
    name = document["metadata"]["name"]
    status = document.get("status") or {}
    try:
        looked = since is not None and datetime.fromisoformat(status.get("reconciledAt") or "") >= since
    except (TypeError, ValueError):
        looked = False
    if not looked or was_asked(document):
        return f"ArgoCD has not looked at Application {name} since the release"
    if is_syncing(document):
        return f"ArgoCD is syncing Application {name}"
    said = sync_and_health(document)
    return "" if said == ("Synced", "Healthy") else f"ArgoCD says {' and '.join(said)} of {name}"
