"""What a request asks for once the catalog's defaults are filled in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.catalog.catalog import Catalog, Service
from schemas.catalog.steps import Condition
from schemas.requests import Mode, Option, ResetRequested
from schemas.wire import ServiceName


class CoreAction(StrEnum):
    """What a plan does to the shared core schema."""

    NONE = "none"
    MIGRATE = "migrate"
    WIPE = "wipe"


@dataclass(frozen=True)
class Selection:
    """A request with its defaults filled in; services in the catalog's order."""

    environment: str
    mode: Mode
    services: tuple[Service, ...]
    modes: dict[ServiceName, Mode]
    options: tuple[Option, ...]
    integrations: tuple[str, ...]
    core: CoreAction
    git: bool
    conditions: frozenset[Condition]
    """All conditions that hold: of each opposite pair exactly one."""

    def has(self, service: str) -> bool:
        """Whether the service is in the plan."""
        return ServiceName(service) in self.modes


def select(request: ResetRequested, catalog: Catalog) -> Selection:
    """Fill in what the request leaves open. Services that the catalog lacks are left out, and a rule refuses them."""
    wanted = set(request.services) if request.services is not None else set(catalog.order)
    services = tuple(service for service in catalog.in_order if service.name in wanted)
    modes = {
        ServiceName(service.name): request.service_modes.get(service.name, request.mode)
        for service in services
    }
    options = tuple(option for option in Option if option in request.options)
    integrations = tuple(dict.fromkeys(request.integrations))
    core = _core_action(request, catalog, modes)
    migrator = catalog.core is not None and ServiceName(catalog.core.migrator) in modes
    return Selection(
        environment=request.environment,
        mode=request.mode,
        services=services,
        modes=modes,
        options=options,
        integrations=integrations,
        core=core,
        git=request.git if request.git is not None else request.mode is not Mode.SEED,
        conditions=_conditions(core, options, migrator=migrator, integrations=bool(integrations)),
    )


def quiesces(selection: Selection, catalog: Catalog) -> bool:
    """Whether services are scaled to 0 while their databases are rebuilt: the catalog names a mode of the plan."""
    return any(mode in catalog.quiesce for mode in selection.modes.values())


def _core_action(request: ResetRequested, catalog: Catalog, modes: dict[ServiceName, Mode]) -> CoreAction:
    """Decide what happens to the core schema.

    The mode of the owner decides where it is `wipe` or `refresh`. Otherwise core is touched only where the request asks
    for it (`core: true`), and then the mode of the migrator decides. `core: false` is the same as leaving it out.
    """
    if catalog.core is None:
        return CoreAction.NONE
    owner = modes.get(ServiceName(catalog.core.owner))
    migrator = modes.get(ServiceName(catalog.core.migrator))
    if owner is Mode.WIPE:
        return CoreAction.WIPE
    if owner is Mode.REFRESH:
        return CoreAction.MIGRATE
    if not request.core or (owner is None and migrator is None):
        return CoreAction.NONE
    return CoreAction.WIPE if migrator is Mode.WIPE else CoreAction.MIGRATE


def _conditions(
    core: CoreAction, options: tuple[Option, ...], *, migrator: bool, integrations: bool
) -> frozenset[Condition]:
    keep = Option.KEEP_USER_DATA in options
    holds = {
        Condition.CORE if core is not CoreAction.NONE else Condition.NO_CORE,
        Condition.CORE_WIPED if core is CoreAction.WIPE else Condition.CORE_KEPT,
        Condition.WITH_MIGRATOR if migrator else Condition.WITHOUT_MIGRATOR,
        Condition.KEEP_USER_DATA if keep else Condition.NO_KEEP_USER_DATA,
        Condition.INTEGRATIONS if integrations else Condition.NO_INTEGRATIONS,
    }
    if Option.MOCK in options:
        holds.add(Condition.MOCK)
    if Option.POPULATE_CORE_ENTITIES in options:
        holds.add(Condition.POPULATE_CORE_ENTITIES)
    return frozenset(holds)
