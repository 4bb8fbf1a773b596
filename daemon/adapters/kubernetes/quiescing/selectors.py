"""Label selectors, as objects have them and as the API server's query takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daemon.adapters.kubernetes.documents import ROLLOUT_KIND, Document, Documents
from daemon.adapters.kubernetes.holder_templates import DEPLOYMENTS
from daemon.ports.errors import PermanentError
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason

_ROLLOUT = ROLLOUT_KIND[0]
_OF_ROLLOUTS = "rollouts-pod-template-hash"
"""The label of a Rollout's pods. The Deployment that it refers to selects its own pods by the same other labels."""


async def pods_of(documents: Documents, target: ObjectRef, document: Document) -> str:
    """Return the selector of a workload's pods, as the API server's query takes it.

    A Rollout that refers to a Deployment need not have one of its own: it takes the Deployment's.

    Raises:
        PermanentError: `quiesce-refused`: it has none that can be read.

    Source: argoproj/argo-rollouts, `spec.selector`, `spec.workloadRef`.
    """
    spec = document.get("spec") or {}
    selector = spec.get("selector") or {}
    reference = spec.get("workloadRef") or {}
    if not selector and reference.get("kind") == DEPLOYMENTS.kind:
        referred = await documents.get(DEPLOYMENTS, target.environment, str(reference.get("name")))
        selector = ((referred or {}).get("spec") or {}).get("selector") or {}
    text = selector_text(selector)
    if not text:
        raise PermanentError(
            Reason.QUIESCE_REFUSED,
            f"{target} has no selector that can be read: nobody could tell when its pods have ended",
            hint="Give it a `spec.selector`.",
        )
    return f"{text},{_OF_ROLLOUTS}" if target.kind == _ROLLOUT else text


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
