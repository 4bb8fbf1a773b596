"""The discovery documents: /version, /api, /apis and the resource lists, by which clients learn what is served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.kubernetes.objects.kinds import KINDS, VERBS, Kind

VERSION = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+sandbox",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2024-12-11T00:00:00Z",
    "goVersion": "go1.23.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_SUBRESOURCES: dict[str, tuple[str, list[str]]] = {
    "status": ("", ["get", "patch", "update"]),
    "log": ("Pod", ["get"]),
    "exec": ("PodExecOptions", ["create", "get"]),
    "eviction": ("Eviction", ["create"]),
    "scale": ("Scale", ["get", "patch", "update"]),
}


def answer(path: str, kinds: Sequence[Kind] = KINDS) -> dict[str, Any] | None:
    """The discovery document at a path; None for a path that has none."""
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [],
            }
        case ["apis"]:
            groups = sorted({(kind.group, kind.version) for kind in kinds if kind.group})
            return {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(name, version) for name, version in groups],
            }
        case ["api", "v1"]:
            return _resources("", "v1", kinds)
        case ["apis", group]:
            version = next((kind.version for kind in kinds if kind.group == group), None)
            if version is None:
                return None
            return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, version)
        case ["apis", group, version]:
            return _resources(group, version, kinds)
    return None


def _group(name: str, version: str) -> dict[str, Any]:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resources(group: str, version: str, served: Sequence[Kind]) -> dict[str, Any] | None:
    kinds = [kind for kind in served if (kind.group, kind.version) == (group, version)]
    if not kinds:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": [entry for kind in kinds for entry in _entries(kind)],
    }


def _entries(kind: Kind) -> list[dict[str, Any]]:
    main: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(VERBS),
    }
    if kind.short:
        main["shortNames"] = list(kind.short)
    if kind.plural in {"pods", "deployments", "replicasets", "services"}:
        main["categories"] = ["all"]
    entries = [main]
    for name in kind.subresources:
        other, verbs = _SUBRESOURCES[name]
        entry: dict[str, Any] = {
            "name": f"{kind.plural}/{name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": other or kind.kind,
            "verbs": verbs,
        }
        if name == "scale":
            entry |= {"group": "autoscaling", "version": "v1"}
        if name == "eviction":
            entry |= {"group": "policy", "version": "v1"}
        entries.append(entry)
    return entries
