"""What a service account may do, by the Roles and ClusterRoles that are bound to it, as RBAC decides."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.kubernetes.objects.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Target,
)
from sandbox.kubernetes.objects.objects import Object, Objects

PREFIX = "system:serviceaccount:"
"""How the user name of a service account begins: `system:serviceaccount:NAMESPACE:NAME`."""


def allows(objects: Objects, user: str, verb: str, target: Target) -> bool:
    """Tell whether a service account may do that. Rights only add up; none of them takes one away."""
    plural = f"{target.kind.plural}/{target.subresource}" if target.subresource else target.kind.plural
    return any(
        _has(rule.get("apiGroups"), target.kind.group)
        and _has(rule.get("resources"), plural)
        and _has(rule.get("verbs"), verb)
        and (not rule.get("resourceNames") or target.name in rule["resourceNames"])
        for rule in _rules(objects, user, target.namespace)
    )


def _has(listed: list[str] | None, wanted: str) -> bool:
    return wanted in (listed or ()) or "*" in (listed or ())


def _rules(objects: Objects, user: str, namespace: str) -> Iterator[Object]:
    bindings = list(objects.every(CLUSTER_ROLE_BINDINGS))
    if namespace:
        bindings += objects.every(ROLE_BINDINGS, namespace)
    for binding in bindings:
        if any(_is(subject, user) for subject in binding.get("subjects") or ()):
            reference = binding["roleRef"]
            of_cluster = reference["kind"] == CLUSTER_ROLES.kind
            role = objects.find(
                CLUSTER_ROLES if of_cluster else ROLES, "" if of_cluster else namespace, reference["name"]
            )
            yield from (role or {}).get("rules") or ()


def _is(subject: Object, user: str) -> bool:
    named = f"{PREFIX}{subject.get('namespace', '')}:{subject['name']}"
    return subject["kind"] == "ServiceAccount" and named == user
