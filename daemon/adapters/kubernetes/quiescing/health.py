"""Whether what was released runs again: by the workload's own status, and by ArgoCD where it has looked since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from daemon.adapters.kubernetes.quiescing.documents import Document
from daemon.adapters.kubernetes.quiescing.kinds import replicas_of
from schemas.quiescing import ObjectRef

_REFRESH = "argocd.argoproj.io/refresh"
ASK: Mapping[str, Any] = {"metadata": {"annotations": {_REFRESH: "normal"}}}
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
    phase = (status.get("operationState") or {}).get("phase")
    if document.get("operation") or phase in {"Running", "Terminating"}:
        return f"ArgoCD is syncing Application {name}"
    sync = (status.get("sync") or {}).get("status", "Unknown")
    health = (status.get("health") or {}).get("status", "Unknown")
    return "" if (sync, health) == ("Synced", "Healthy") else f"ArgoCD says {sync} and {health} of {name}"


def was_asked(document: Document) -> bool:
    """Tell whether ArgoCD was asked to look and has not yet."""
    return bool(((document.get("metadata") or {}).get("annotations") or {}).get(_REFRESH))


def selector_text(selector: Mapping[str, Any]) -> str:
    """Write a `LabelSelector` as the API server's query takes it.

    Source: Kubernetes reference, Labels and Selectors.
    """
    return ",".join(_terms(selector))


def _terms(selector: Mapping[str, Any]) -> Iterator[str]:
    for label, value in (selector.get("matchLabels") or {}).items():
        yield f"{label}={value}"
    for term in selector.get("matchExpressions") or ():
        key, values = term["key"], ",".join(term.get("values") or ())
        match term["operator"]:
            case "In":
                yield f"{key} in ({values})"
            case "NotIn":
                yield f"{key} notin ({values})"
            case "Exists":
                yield str(key)
            case "DoesNotExist":
                yield f"!{key}"
