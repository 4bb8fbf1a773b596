"""Looks for the services of the catalog in all namespaces, and says of which nobody knows what they use.

- In an environment of a protected kind every service has to be seen, unless the catalog says `absent`.
- So it is in one of an undeclared kind, as soon as something says that it is an environment: it shows a service, or
  something is remembered of it.
- What is scaled to 0 is seen, and its pods can't be asked. A service whose workload has other labels than the selector
  is not seen.

The survey lists, and asks no pod. Whoever reads facts asks the pods that it names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from daemon.ports.errors import PortError, TemporaryError
from daemon.ports.pods.cluster import Pod, Workload, Workloads
from daemon.ports.pods.pods import Pods
from schemas.catalog.catalog import Catalog, Service
from schemas.facts import AbsentService, Facts, Unreadable
from schemas.protection import RememberedUse, Word
from schemas.reasons import Reason
from schemas.wire import ServiceName
from statemachines.planning.namespaces import (
    UNASKED,
    Standing,
    is_known,
    looked_at,
    protects,
    standing_of,
)

NAMESPACES_AT_ONCE = 4
"""Namespaces that are listed at the same time: five lists each."""
WORKLOADS = "workloads"
"""The subject of a gap: what runs there."""
MISSING_RIGHT = "missing right: "
"""What stands before a right in the detail of `kubernetes-forbidden`."""


@dataclass(frozen=True)
class View:
    """A namespace, as it was seen."""

    environment: str
    standing: Standing
    known: bool
    """Whether something beside its name says that it is an environment."""
    workloads: Workloads
    absent: tuple[AbsentService, ...]
    """Services that are not seen, and that the catalog says are not there."""
    gaps: tuple[Unreadable, ...]
    """What could not be listed, and services that are not seen and have to be; none without a kind."""


@dataclass(frozen=True)
class ToAsk:
    """Ready pods that together tell what a service uses, and what none of them can tell."""

    pods: Sequence[Pod]
    chosen: Pod | None
    """The service's own, in which its steps would run; None where there is none."""
    gaps: tuple[Unreadable, ...]


class Survey:
    """Looks at namespaces by what the catalog declares."""

    def __init__(self, pods: Pods, catalog: Catalog) -> None:
        self._pods = pods
        self._catalog = catalog

    async def namespaces(self) -> list[str]:
        """The namespaces in which services may run.

        Raises:
            PortError: they can't be listed.
        """
        return looked_at(await self._pods.environments(), self._catalog)

    def view(
        self,
        environment: str,
        workloads: Workloads,
        namespaces: Collection[str],
        remembered: Collection[str] = (),
    ) -> View:
        """Say what is unknown of a namespace. `remembered`: environments of which something is remembered."""
        standing = standing_of(environment, self._catalog)
        unseen = [
            service for service in self._catalog.in_order if not workloads.matching(service.selector_text)
        ]
        shows = len(unseen) < len(self._catalog.services) or any(
            workloads.named(service.name) for service in unseen
        )
        known = is_known(environment, namespaces, remembered, self._catalog)
        required = standing is Standing.PROTECTED or (
            standing is Standing.UNDECLARED and (shows or environment in remembered)
        )
        counts = required or (standing is Standing.UNDECLARED and (known or shows))
        missing = unseen if required else []
        return View(
            environment,
            standing,
            known,
            workloads,
            absent=tuple(
                AbsentService(environment=environment, service=ServiceName(service.name))
                for service in missing
                if service.is_absent_from(environment)
            ),
            gaps=()
            if standing is Standing.OTHER
            else (
                *self._unlisted(environment, workloads, protected=counts),
                *(
                    self._unseen(environment, service, workloads)
                    for service in missing
                    # Where something could not be listed, that is why.
                    if not workloads.unread and not service.is_absent_from(environment)
                ),
                *([self._empty(environment)] if counts and not required and not workloads.unread else ()),
            ),
        )

    async def look(
        self, remembered: Sequence[RememberedUse] = (), words: Sequence[Word] = ()
    ) -> tuple[Facts, list[str]]:
        """Look into all namespaces by lists alone. Return what is unknown of each, and their names.

        Args:
            remembered: What is remembered of protected environments.
            words: What people said about them.

        Raises:
            PortError: the namespaces can't be listed.
        """
        names = await self.namespaces()
        slots = asyncio.Semaphore(NAMESPACES_AT_ONCE)
        known = {use.environment for use in remembered}
        found = await asyncio.gather(*(self._listed(name, names, known, slots) for name in names))
        facts = Facts(
            environment="",
            exists=False,
            unreadable=tuple(gap for gaps, _ in found for gap in gaps),
            absent=tuple(each for _, absent in found for each in absent),
            remembered=tuple(remembered),
            words=tuple(words),
        )
        return facts, names

    async def to_ask(self, environment: str, service: Service, workloads: Workloads) -> ToAsk:
        """Find the pods that together tell what a service uses that is seen.

        What one of them fails to tell is a gap, and the others are there all the same: a word that answers for the gap
        says nothing of them.
        """
        where = (environment, service.selector_text, service.container)
        try:
            pods = await self._pods.choose_each(*where)
        except PortError as error:
            gap = self.unreadable(error, environment, ServiceName(service.name), "pods")
            try:
                return ToAsk(await self._pods.ready_each(*where), None, (gap,))
            except PortError:
                return ToAsk((), None, (gap,))
        return ToAsk(pods, pods[0], tuple(self._unasked(service, environment, workloads, pods)))

    def unreadable(
        self, error: PortError, environment: str, service: ServiceName | None, subject: str
    ) -> Unreadable:
        """Make the gap for what could not be read of a namespace that is an environment, or of what is seen there."""
        return Unreadable(
            environment=environment,
            service=service,
            subject=subject,
            reason=error.reason,
            detail=error.detail,
            protected=protects(environment, self._catalog),
            temporary=isinstance(error, TemporaryError),
        )

    async def _listed(
        self, name: str, names: Sequence[str], remembered: Collection[str], slots: asyncio.Semaphore
    ) -> tuple[list[Unreadable], tuple[AbsentService, ...]]:
        async with slots:
            try:
                workloads = await self._pods.workloads(name)
            except PortError as error:
                # Without the lists of all namespaces nothing is planned.
                gap = self.unreadable(error, name, None, WORKLOADS)
                return [gap.model_copy(update={"protected": True})], ()
            view = self.view(name, workloads, names, remembered)
            gaps = list(view.gaps)
            for service in self._catalog.in_order:
                if workloads.matching(service.selector_text):
                    gaps += (await self.to_ask(name, service, workloads)).gaps
        return gaps, view.absent

    def _unasked(
        self, service: Service, environment: str, workloads: Workloads, asked: Iterable[Pod]
    ) -> Iterator[Unreadable]:
        """Yield a gap for each workload of a protected environment's service for which no asked pod answers.

        Its template gives other variables than those of the pods that were asked, or nobody can tell. So it may use
        another database, now or as soon as it is scaled up.
        """
        # Where something could not be listed, that is why a workload seems to be unasked.
        if workloads.unread or not protects(environment, self._catalog):
            return
        makers = {pod.maker for pod in asked}
        for workload in workloads.unasked(service.selector_text, makers):
            gap = self._gap(environment, Reason.SERVICE_UNSEEN, _why_unasked(workload), protected=True)
            yield gap.model_copy(
                update={
                    "service": ServiceName(service.name),
                    "subject": f"{UNASKED}{workload.kind} {workload.name}",
                    "temporary": workload.replicas > 0,
                }
            )

    def _unlisted(self, environment: str, workloads: Workloads, *, protected: bool) -> Iterator[Unreadable]:
        """One gap for all that could not be listed of a namespace."""
        for reason in dict.fromkeys(error.reason for error in workloads.unread):
            details = [error.detail for error in workloads.unread if error.reason is reason]
            rights = [detail.partition(MISSING_RIGHT)[2] for detail in details]
            detail = f"{MISSING_RIGHT}{', '.join(rights)}" if all(rights) else "; ".join(details)
            yield self._gap(environment, reason, detail, protected=protected)

    def _gap(self, environment: str, reason: Reason, detail: str, *, protected: bool) -> Unreadable:
        return Unreadable(
            environment=environment, subject=WORKLOADS, reason=reason, detail=detail, protected=protected
        )

    def _empty(self, environment: str) -> Unreadable:
        detail = "it shows none of the services, and its kind is not in the catalog"
        return self._gap(environment, Reason.SERVICE_UNSEEN, detail, protected=False)

    def _unseen(self, environment: str, service: Service, workloads: Workloads) -> Unreadable:
        named = workloads.named(service.name)
        detail = f"no workload and no pod has {service.selector_text}"
        if named:
            detail += f"; {_described(named[0])}"
        gap = self._gap(environment, Reason.SERVICE_UNSEEN, detail, protected=True)
        return gap.model_copy(update={"service": ServiceName(service.name)})


def _why_unasked(workload: Workload) -> str:
    if workload.replicas == 0:
        return "is scaled to 0"
    if not workload.templated:
        return "is not ready"
    return "has a template by which no pod is ready"


def _described(workload: Workload) -> str:
    labels = ", ".join(f"{label}={value}" for label, value in sorted(workload.labels.items())) or "none"
    return f"the labels of {workload.kind} {workload.name} are {labels}"
