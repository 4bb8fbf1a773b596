"""What a catalog may say and nothing acts on yet. Whoever wrote it relies on it, so no new reset starts."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.catalog.catalog import Catalog
from schemas.reasons import Reason
from statemachines.refusals import Refusal, refuse


def fields_without_effect(catalog: Catalog) -> tuple[str, ...]:
    """Return the catalog's fields that are given and have no effect, as a person would write them."""
    given = {
        "schedules": bool(catalog.schedules),
        "notifications": bool(catalog.notifications),
    }
    return tuple(name for name, is_given in given.items() if is_given)


def refuse_without_effect(names: Iterable[str]) -> Refusal | None:
    """Refuse a new reset where these names, of the catalog's fields and settings, are said and nothing acts on them."""
    listed = ", ".join(names)
    return refuse(Reason.WITHOUT_EFFECT, f"nothing acts on {listed} yet: take it out") if listed else None
