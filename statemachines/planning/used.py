"""What an environment uses, whether or not a plan may touch it: what a person's hold takes."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.catalog.catalog import Catalog
from schemas.facts import Facts
from schemas.requests import ResetRequested
from schemas.wire import ResourceKey
from statemachines.planning.case import Case
from statemachines.planning.commands import written


@dataclass(frozen=True)
class Used:
    """Resources of an environment, and what of it could not be read."""

    keys: tuple[ResourceKey, ...]
    unread: tuple[str, ...]
    """`SERVICE/DATABASE` of each database, and the name of each repository, that is not known."""


def used(request: ResetRequested, catalog: Catalog, facts: Facts) -> Used:
    """Return what the request would touch at most, as far as it is known."""
    case = Case.of(request, catalog, facts)
    keys = {*case.touched(), *(fact.object.key for fact in facts.consumers)}
    unread = [
        f"{service}/{database}"
        for service, database in written(case.commands)
        if case.database(service, database) is None
    ]
    if case.selection.git:
        unread += [name for name, fact in case.repositories() if fact is None]
    return Used(tuple(sorted(keys)), tuple(unread))
