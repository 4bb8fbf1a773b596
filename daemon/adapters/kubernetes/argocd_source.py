"""What an Application asks for, beside what ArgoCD says that it compared.

ArgoCD writes `status.sync.comparedTo` from its Go structures: fields that are empty are left out there, or become an
empty object. So empty values say nothing on either side, at any depth.

Source: argoproj/argo-cd, `ApplicationSpec.GetSource`, `HasMultipleSources` and `BuildComparedToStatus`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def compares_something_else(spec: Mapping[str, Any], compared: Mapping[str, Any]) -> bool:
    """Tell whether ArgoCD's comparison is of another source or destination than the Application asks for now.

    Args:
        spec: The Application's `spec`.
        compared: Its `status.sync.comparedTo`.
    """
    if without_empty(_sources(spec)) != without_empty(_compared_sources(compared)):
        return True
    wanted, there = (without_empty(part.get("destination")) for part in (spec, compared))
    if not isinstance(wanted, Mapping) or not isinstance(there, Mapping):
        return False
    # ArgoCD may fill in a cluster's address from its name, or the reverse: what only one side has is no difference.
    return any(wanted[key] != there[key] for key in wanted.keys() & there.keys())


def without_empty(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value without the fields that Go's `omitempty` leaves out; None where nothing is left.

    The elements of a list keep their places.
    """
    if isinstance(value, Mapping):
        kept = {key: without_empty(field) for key, field in value.items()}
        return {key: field for key, field in kept.items() if field is not None} or None
    if isinstance(value, list):
        return [without_empty(element) for element in value] or None
    return value or None


def _sources(spec: Mapping[str, Any]) -> list[Any]:
    """What an Application asks for: its hydrated branch, else all of `sources`, else `source`."""
    if hydrator := spec.get("sourceHydrator"):
        dry, sync = hydrator.get("drySource") or {}, hydrator.get("syncSource") or {}
        return [
            {
                "repoURL": sync.get("repoURL") or dry.get("repoURL"),
                "path": sync.get("path"),
                "targetRevision": sync.get("targetBranch"),
            }
        ]
    return _compared_sources(spec)


def _compared_sources(compared: Mapping[str, Any]) -> list[Any]:
    return list(compared.get("sources") or [compared.get("source")])
