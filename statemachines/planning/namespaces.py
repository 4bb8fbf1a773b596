"""Which namespaces count as environments, and in which of them every service of the catalog has to be seen.

What is not seen of a protected environment is unknown. But a cluster also has namespaces of teams and of tools, of
which some are named like environments (`cert-manager`), and may not be read.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from schemas.catalog.catalog import Catalog
from schemas.wire import client_of, kind_of
from statemachines.planning.protection import is_protected_kind

_OF_KUBERNETES = "kube-"
"""Namespaces of this prefix are Kubernetes' own (Kubernetes documentation, Namespaces)."""
UNASKED = "workload "
"""How the subject of a gap begins whose workload nobody could ask; kind and name follow."""


class Standing(StrEnum):
    """What the name of a namespace says of it."""

    PROTECTED = "protected"  # an environment of a protected kind
    OPEN = "open"  # an environment of a kind that is not protected
    UNDECLARED = "undeclared"  # an environment by its form, of a kind that the catalog does not declare
    OTHER = "other"  # no environment: the name has no kind


def standing_of(namespace: str, catalog: Catalog) -> Standing:
    """Tell what the name of a namespace says of it."""
    kind = catalog.kinds.get(kind_of(namespace))
    if not client_of(namespace):
        # A namespace `production` is no environment of ours, and yet no name of a tool.
        return Standing.UNDECLARED if kind is not None and kind.protected else Standing.OTHER
    if kind is None:
        return Standing.UNDECLARED
    return Standing.PROTECTED if kind.protected else Standing.OPEN


def protects(namespace: str, catalog: Catalog) -> bool:
    """Tell whether what a service uses that is seen there is protected, so that it has to be known.

    A namespace without a kind need not be readable. But what is seen there counts, also where nobody can ask it now: a
    production may run in `default`.
    """
    return is_protected_kind(kind_of(namespace), catalog)


def looked_at(namespaces: Collection[str], catalog: Catalog) -> list[str]:
    """Return the namespaces in which services may run: all but those of Kubernetes itself."""
    return [
        name
        for name in namespaces
        if not name.startswith(_OF_KUBERNETES) or (client_of(name) and kind_of(name) in catalog.kinds)
    ]


def is_known(
    namespace: str, namespaces: Collection[str], remembered: Collection[str], catalog: Catalog
) -> bool:
    """Tell whether something says that a namespace of an undeclared kind is an environment, before it is looked into.

    Its client has an environment of a declared kind, a protected kind is its whole name, or something is remembered of
    it.
    """
    client = client_of(namespace)
    if not client:
        return kind_of(namespace) in catalog.kinds
    if namespace in remembered:
        return True
    return any(client_of(name) == client and kind_of(name) in catalog.kinds for name in namespaces)
