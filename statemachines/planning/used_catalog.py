"""The parts of a catalog on which a plan depends and which its steps do not show. People agree to them with the plan.

What a plan shows by itself is left out: commands with their limits and known failures, the order, who has to agree
and why. So is what no reset reads: checks of the doctor, queues, windows, schedules, notifications, texts for people.
A part that this module does not know counts, so that a new one voids a consent rather than slipping into it.
"""

from __future__ import annotations

from typing import Any

from statemachines.canonical_json import digest
from statemachines.planning.case import Case
from statemachines.planning.selection import CoreAction

_SHOWN = frozenset({"kinds", "order", "failures", "services", "elsewhere"})
"""Parts whose effect on a plan is in the plan: its steps, its resources, how many have to agree."""
_NOT_READ = frozenset({"name", "description", "doctor", "queue", "windows", "schedules", "notifications"})
"""Parts that no reset depends on once it is planned."""
_OF_A_SERVICE = frozenset({"steps", "verify", "doctor", "failures", "options", "integrations"})
"""Parts of a service whose effect is in the plan's steps, or that are no part of a reset."""


def digest_of_used(case: Case) -> str:
    """Return `sha256:...` over the used parts of the case's catalog."""
    return digest(used_parts(case))


def used_parts(case: Case) -> dict[str, Any]:
    """Return the used parts of the case's catalog, as JSON."""
    catalog, selection = case.catalog, case.selection
    whole = catalog.model_dump(mode="json", by_alias=True, exclude=set(_SHOWN | _NOT_READ))
    if selection.core is CoreAction.NONE:
        whole.pop("core")
    if not selection.git:
        whole.pop("repositories")
    modes = {mode.value for mode in selection.modes.values()}
    whole["quiesce"] = sorted(modes.intersection(whole["quiesce"]))
    whole["services"] = {
        service.name: service.model_dump(mode="json", by_alias=True, exclude=set(_OF_A_SERVICE))
        for service in selection.services
    }
    return whole
