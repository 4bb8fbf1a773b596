"""Which resources are protected, because of which environments, and how many people must consent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.catalog.catalog import LEAST_UNATTENDED, Catalog, Kind
from schemas.facts import Facts
from schemas.resets import Channel
from schemas.wire import ResourceKey, kind_of

ANY_KIND = "*"
"""The kind of a protecting environment that was seen once and whose kind was not kept."""


@dataclass(frozen=True)
class Protection:
    """Whether a resource is protected, and by which kinds."""

    because: str | None
    """Text for people that says why the resource is protected; None where it is not."""
    kinds: tuple[str, ...] = ()
    """Kinds of the protecting environments; `ANY_KIND` for one that is only remembered."""


def protection_of(key: ResourceKey, facts: Facts, catalog: Catalog) -> Protection:
    """Say whether a resource is protected: by this environment, by another one that uses it, elsewhere, or in memory.

    What a marker in the database says counts as use.

    An environment whose kind the catalog does not know protects as well: it could be a production by another name.
    """
    own = kind_of(facts.environment)
    if is_protected_kind(own, catalog):
        return Protection(f"{facts.environment} is of the protected kind {own}", (own,))
    users = [name for name in facts.users.get(key, ()) if is_protected_kind(kind_of(name), catalog)]
    if users:
        return Protection(
            f"{', '.join(users)} uses it, too", tuple(sorted({kind_of(name) for name in users}))
        )
    marked = [name for name in facts.markers.get(key, ()) if is_protected_kind(kind_of(name), catalog)]
    if marked:
        return Protection(
            f"its marker says that it is {', '.join(marked)}'s",
            tuple(sorted({kind_of(name) for name in marked})),
        )
    elsewhere = [entry for entry in catalog.elsewhere if entry.uses(key)]
    protecting = [entry for entry in elsewhere if is_protected_kind(kind_of(entry.environment), catalog)]
    if protecting:
        return Protection(
            f"{', '.join(entry.label for entry in protecting)} uses it, too",
            tuple(sorted({kind_of(entry.environment) for entry in protecting})),
        )
    if key in facts.remembered_protected:
        seen = sorted({use.environment for use in facts.remembered if use.key == key})
        return Protection(
            f"{', '.join(seen) or 'a protected environment'} was once seen to use it", (ANY_KIND,)
        )
    return Protection(None)


UNNAMED = "(an environment whose name was not kept)"
"""Stands for a protecting environment without a name. Only a token for all environments is for it."""


def protectors_of(key: ResourceKey, facts: Facts, catalog: Catalog) -> frozenset[str]:
    """Name every environment by which a resource is protected: seen, marked, elsewhere or remembered.

    An environment elsewhere goes by its name alone, because tokens do not know clusters.
    """
    seen = (
        facts.environment,
        *facts.users.get(key, ()),
        *facts.markers.get(key, ()),
        *(entry.environment for entry in catalog.elsewhere if entry.uses(key)),
    )
    named = {name for name in seen if is_protected_kind(kind_of(name), catalog)}
    if key in facts.remembered_protected:
        named |= {use.environment for use in facts.remembered if use.key == key} or {UNNAMED}
    return frozenset(named)


def approvals_required(
    protections: Iterable[Protection], environment: str, channel: Channel, catalog: Catalog
) -> int:
    """Return how many people must agree to a plan: the most that any kind concerned asks for.

    Over Kafka and for provisioning who asks is only a claim, so the number for unattended requests counts as well. At
    least two people agree to those, and more than to a request of somebody who is known: one of them may have asked.
    Where a kind is not known (`ANY_KIND`, or none of the catalog's) all protected kinds are concerned.
    """
    kinds = {kind_of(environment)}
    for protection in protections:
        kinds.update(protection.kinds)
    protected = [kind for kind in catalog.kinds.values() if kind.protected]
    concerned = [catalog.kinds[name] for name in kinds if name in catalog.kinds]
    if any(name not in catalog.kinds for name in kinds):
        concerned += protected
    required = max((_approvers(kind, channel) for kind in concerned), default=0)
    touches_protected = any(protection.because for protection in protections)
    least = 1 if channel is Channel.HTTP else LEAST_UNATTENDED
    return max(required, least) if touches_protected else required


def _approvers(kind: Kind, channel: Channel) -> int:
    if channel is Channel.HTTP or not (kind.approvers or kind.approvers_unattended):
        return kind.approvers
    return max(kind.approvers + 1, kind.approvers_unattended, LEAST_UNATTENDED)


def is_protected_kind(kind: str, catalog: Catalog) -> bool:
    """Whether the kind is protected, or unknown to the catalog."""
    known = catalog.kinds.get(kind)
    return known is None or known.protected
