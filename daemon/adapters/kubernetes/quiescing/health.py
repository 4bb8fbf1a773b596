"""Whether what was released runs again: by the workload's own status, and by ArgoCD where it has looked since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from daemon.adapters.kubernetes.argocd import REFRESH_ANNOTATION, is_syncing, sync_and_health, was_asked
from daemon.adapters.kubernetes.documents import Document
from daemon.adapters.kubernetes.quiescing.kinds import replicas_of
from schemas.quiescing import ObjectRef

ASK: Mapping[str, Any] = {"metadata": {"annotations": {REFRESH_ANNOTATION: "normal"}}}
"""The patch that asks ArgoCD to look at an Application, which removes it then.

Source: argoproj/argo-cd, `AnnotationKeyRefresh`.
"""


def why_not_running(target: ObjectRef, document: Document) -> str:
    """Say why a workload does not run as it asks for; empty where it does."""
    wanted, status = replicas_of(document), document.get("status") or {}
    if _is_unseen(document):
        return f"nobody has looked at {target} since it was released"
    ready = int(status.get("readyReplicas") or 0)
    updated = int(status.get("updatedReplicas") or 0)
    if ready < wanted or updated < wanted:
        return f"{target} has {min(ready, updated)} of {wanted} pods ready"
    return ""


def is_behind(document: Document) -> bool:
    """Tell whether a workload's controller has not seen yet what it asks for, or still counts more pods than that."""
    replicas = int((document.get("status") or {}).get("replicas") or 0)
    return _is_unseen(document) or replicas > replicas_of(document)


def _is_unseen(document: Document) -> bool:
    """A Rollout writes its generation as text, which was a hash before 1.0: that says nothing."""
    observed = str((document.get("status") or {}).get("observedGeneration") or "0")
    generation = int((document.get("metadata") or {}).get("generation", 0))
    return observed.isdigit() and int(observed) < generation


def why_not_believed(document: Document, since: datetime) -> str:
    """Say why ArgoCD's word on an Application does not count as healthy; empty where it does."""
    name = document["metadata"]["name"]
    status = document.get("status") or {}
    try:
        looked = datetime.fromisoformat(status.get("reconciledAt") or "")
        # ArgoCD writes whole seconds: what it wrote in the very second may be from before.
        fresh = looked > since
    except (TypeError, ValueError):
        fresh = False
    if not fresh or was_asked(document):
        return f"ArgoCD has not looked at Application {name} since the release"
    if is_syncing(document):
        return f"ArgoCD is syncing Application {name}"
    said = sync_and_health(document)
    return "" if said == ("Synced", "Healthy") else f"ArgoCD says {' and '.join(said)} of {name}"
