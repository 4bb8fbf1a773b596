"""Reads what a plan has to quiesce: the workloads that use its databases, wherever, and who would undo it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from daemon.ports.pods.cluster import Workload, Workloads
from daemon.ports.quiescing import Quiescing
from schemas.catalog.catalog import Catalog
from schemas.quiescing import ConsumerFact, ObjectRef
from schemas.wire import ResourceKey

Uses = Mapping[tuple[str, str], Collection[ResourceKey]]
"""(environment, service) -> the databases that the service uses there."""


class ConsumerReader:
    """Reads it through ports. What is listed anyway comes as arguments."""

    def __init__(self, quiescing: Quiescing, catalog: Catalog) -> None:
        self._quiescing = quiescing
        self._catalog = catalog

    async def read(
        self,
        keys: Collection[ResourceKey],
        workloads: Mapping[str, Workloads],
        uses: Uses,
        slots: asyncio.Semaphore,
    ) -> tuple[ConsumerFact, ...]:
        """Read the consumers of these databases, what starts pods beside them, and what would scale them up again.

        Raises:
            TemporaryError: the cluster can't be asked now.
        """
        found: dict[ObjectRef, tuple[Workload, set[ResourceKey]]] = {}
        for (environment, service), used in uses.items():
            entry = self._catalog.service(service)
            if entry is None:
                continue
            for workload in workloads[environment].matching(entry.selector_text):
                if not (workload.templated or workload.templates):
                    continue  # a pod that has ended, or a Job's: its sessions tell whether it is at work
                target = ObjectRef(environment=environment, kind=workload.kind, name=workload.name)
                # It remembers all of them: while it rests, it tells the plans of others what it uses.
                found.setdefault(target, (workload, set()))[1].update(used)
        found = {target: each for target, each in found.items() if each[1].intersection(keys)}
        environments = sorted({target.environment for target in found})
        around = await asyncio.gather(
            *(
                self._around(
                    name,
                    {target: used for target, (_, used) in found.items() if target.environment == name},
                    slots,
                )
                for name in environments
            )
        )
        facts = await asyncio.gather(
            *(self._fact(target, workload, used, slots) for target, (workload, used) in found.items()),
            *(self._fact(target, None, used, slots) for each in around for target, used in each.items()),
        )
        return tuple(
            sorted(facts, key=lambda fact: (fact.object.environment, fact.object.kind, fact.object.name))
        )

    async def _around(
        self,
        environment: str,
        workloads: Mapping[ObjectRef, Collection[ResourceKey]],
        slots: asyncio.Semaphore,
    ) -> Mapping[ObjectRef, tuple[ResourceKey, ...]]:
        async with slots:
            return await self._quiescing.around(environment, workloads)

    async def _fact(
        self,
        target: ObjectRef,
        workload: Workload | None,
        uses: Collection[ResourceKey],
        slots: asyncio.Semaphore,
    ) -> ConsumerFact:
        async with slots:
            obstacles = await self._quiescing.obstacles(target)
        return ConsumerFact(
            object=target,
            uses=tuple(sorted(uses)),
            quiesced_by=workload.quiesced_by if workload else (),
            obstacles=obstacles.undone_by,
            missing_rights=obstacles.missing_rights,
        )
