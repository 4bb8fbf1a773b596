"""Looks for the services of the catalog in all namespaces, and says of which nobody knows whether they are there.

- In an environment of a protected kind every service has to be seen, unless the catalog says `absent`.
- So it is in one of an undeclared kind, as soon as something says that it is an environment: it shows a service, or
  something is remembered of it.
- What is scaled to 0 is seen. A service whose workload has other labels than the selector is not, since its pods can't
  be asked.

Whoever scales services down on purpose has to keep what their pods said: this survey sees their workloads, and the
reader of facts asks their pods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from daemon.ports.errors import PortError
from daemon.ports.pods.cluster import Pod, Workload, Workloads
from daemon.ports.pods.pods import Pods
from schemas.api import Finding, FindingLevel
from schemas.catalog.catalog import Catalog, Service
from schemas.facts import AbsentService, Unreadable
from schemas.reasons import Reason
from schemas.wire import ServiceName
from statemachines.planning.namespaces import UNASKED, Standing, is_known, looked_at, standing_of

NAMESPACES_AT_ONCE = 4
"""Namespaces that are listed at the same time: five lists each."""
CHECK = "sharing"
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
    """What could not be listed, and services that are not seen and have to be."""


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
            gaps=(
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

    def unasked(
        self, service: Service, environment: str, workloads: Workloads, asked: Iterable[Pod]
    ) -> Iterator[Unreadable]:
        """Yield a gap for each workload of a protected environment's service for which no asked pod answers.

        Its template gives other variables than those of the pods that were asked, or nobody can tell. So it may use
        another database, now or as soon as it is scaled up.
        """
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

    async def findings(self, *, beside: str | None = None) -> list[Finding]:
        """All that the survey finds, `beside` one environment, for people; what can't be looked at is a finding, too.

        Raises:
            PortError: the namespaces can't be listed.
        """
        names = await self.namespaces()
        slots = asyncio.Semaphore(NAMESPACES_AT_ONCE)
        others = [name for name in names if name != beside]
        found = await asyncio.gather(*(self._findings(name, names, slots) for name in others))
        return [finding for each in found for finding in each]

    async def _findings(self, name: str, names: Sequence[str], slots: asyncio.Semaphore) -> list[Finding]:
        try:
            async with slots:
                workloads = await self._pods.workloads(name)
        except PortError as error:
            return [_finding(name, FindingLevel.UNKNOWN, error.detail, error.hint)]
        view = self.view(name, workloads, names)
        return list(self._told(view))

    def _told(self, view: View) -> Iterator[Finding]:
        for gap in view.gaps:
            subject = "/".join(filter(None, (gap.environment, gap.service)))
            if gap.protected:
                yield _finding(subject, FindingLevel.FAILED, gap.detail, _hint(gap))
            elif view.standing is not Standing.OTHER:
                detail = f"{gap.detail}; it counts as no environment"
                yield _finding(subject, FindingLevel.WARNING, detail, _hint(gap))
        for absent in view.absent:
            detail = "not seen, and the catalog says that it is not there"
            yield _finding(f"{absent.environment}/{absent.service}", FindingLevel.OK, detail, None)
        if view.standing is Standing.PROTECTED and not view.gaps:
            count = len(self._catalog.services) - len(view.absent)
            yield _finding(view.environment, FindingLevel.OK, f"{count} services are seen", None)

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
    labels = ",".join(f"{label}={value}" for label, value in sorted(workload.labels.items())) or "none"
    return f"the labels of {workload.kind} {workload.name} are {labels}"


def _hint(gap: Unreadable) -> str:
    if gap.reason is not Reason.SERVICE_UNSEEN:
        return "Give the daemon's account the right in that namespace (deploy/kubernetes/rbac.yaml)."
    return "Correct the service's `selector` in the catalog, or list the environment under its `absent`."


def _finding(subject: str, level: FindingLevel, detail: str, hint: str | None) -> Finding:
    return Finding(check=CHECK, subject=subject, level=level, detail=detail, hint=hint)
