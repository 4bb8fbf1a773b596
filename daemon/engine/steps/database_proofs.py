"""Proof that a service's own tool reaches the database that was backed up, right before something is launched there.

Variables lie: a tool may read another variable or a file, resolve a host name elsewhere, or be led to a copy. So:

1. One session of the daemon, the witness, listens in the database of the backup, opened with the URL of the backup.
2. Each service's own tool sends a nonce where it arrives. The witness hears it, or nothing was shown.
3. Before each launch the daemon looks itself whether the service's URL still leads to its witness, and whether the
   witness is in the very server whose dump it has. That holds for whatever writes, and for a verification.
4. Before what writes is launched, the tool shows it again where its word is not from a moment ago.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.engine.facts.reader import OUT_OF_REACH, FactsReader
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.proven_servers import NEW_DUMP, check_incarnation, dumped_incarnation
from daemon.engine.steps.tool_handshake import shake_hands
from daemon.engine.steps.witnesses import Witnesses
from daemon.ports import Ports
from daemon.ports.databases import Witness
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Pod
from schemas.catalog.catalog import Database, Service
from schemas.plan import Failure, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.wire import ResourceKey

HANDSHAKE_MAX_AGE = timedelta(seconds=60)
"""How old a handshake may be when something that writes is launched on it."""

_Where = tuple[str, str, str]
"""(service, database, containerID)"""


@dataclass(frozen=True)
class _Proof:
    witness: Witness
    shown_at: datetime
    """When the handshake began."""


class DatabaseProofs:
    """What was shown in one drive of a reset."""

    def __init__(
        self,
        witnesses: Witnesses,
        facts: FactsReader,
        ports: Ports,
        leased: LeasedReset,
        max_age: timedelta = HANDSHAKE_MAX_AGE,
    ) -> None:
        self._witnesses = witnesses
        self._facts = facts
        self._pods = ports.pods
        self._databases = ports.databases
        self._clock = ports.clock
        self._leased = leased
        self._max_age = max_age
        self._reached: dict[_Where, tuple[str, ResourceKey]] = {}
        self._proofs: dict[_Where, _Proof] = {}
        # Steps that run side by side show the same thing once.
        self._one_at_a_time: dict[_Where, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def show(self, pod: Pod, service: Service, step: PlannedStep) -> None:
        """Show that the service's tool in this container reaches every database that the step touches.

        Raises:
            PermanentError: `database-mismatch`, `database-standby`, `backup-unproven`.
            TemporaryError: it could not be tried.
        """
        touched = {key for key in step.touches if key.startswith("database/")}
        missing = set(touched)
        for database in service.databases:
            where = (service.name, database.name, pod.container_id)
            async with self._one_at_a_time[where]:
                if where not in self._reached:
                    url, identity = await self._facts.identify(pod, service, database.name)
                    self._reached[where] = (url, identity.key)
                url, key = self._reached[where]
                if key in touched:
                    await self._show_one(pod, service, database, step, where)
                missing.discard(key)
        if missing:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"{service.name} does not reach {', '.join(sorted(missing))} as the plan for {step.name} says",
            )

    async def _show_one(
        self, pod: Pod, service: Service, database: Database, step: PlannedStep, where: _Where
    ) -> None:
        url, key = self._reached[where]
        witness = await self._witnesses.of(key, url)
        if step.kind is not StepKind.HANDSHAKE:  # that one runs beside the dump
            self._check_server(witness, key, step)
        proof = self._proofs.get(where)
        if proof is None or proof.witness is not witness or (step.writes and self._is_old(proof)):
            began = self._clock.now()
            await self._shake_hands(pod, database, witness, service.name)
            self._proofs[where] = _Proof(witness, began)
        if not await self._leads_to(witness, pod, service, database, url):
            # Whoever asks next has to find out again where the address leads.
            self._proofs.pop(where, None)
            self._reached.pop(where, None)
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"the address of {service.name} for {database.name} leads to another server than {key}, "
                "of which the backup is",
                hint=NEW_DUMP,
            )

    async def _leads_to(
        self, witness: Witness, pod: Pod, service: Service, database: Database, url: str
    ) -> bool:
        """Whether the daemon's URL leads to the witness now, and the service's own where the daemon can follow it."""
        if not await self._databases.leads_to(witness, url, environment=pod.environment):
            return False
        own, _ = await self._facts.urls(pod, service, database)
        if own == url:
            return True
        try:
            return await self._databases.leads_to(witness, own, environment=pod.environment)
        except PermanentError as error:
            if error.reason in OUT_OF_REACH:
                return True
            raise

    async def _shake_hands(self, pod: Pod, database: Database, witness: Witness, service: str) -> None:
        """Let the tool, and the client where it has a way of its own, send to the witness, at the same time."""
        failures = self._known_failures(service, database.name)
        ways = [way for way in (database.handshake, database.client_handshake) if way is not None]
        shaking = [shake_hands(self._pods, pod, way, witness, failures) for way in ways]
        for error in await asyncio.gather(*shaking, return_exceptions=True):
            if isinstance(error, BaseException):
                raise error

    def _is_old(self, proof: _Proof) -> bool:
        age = self._clock.now() - proof.shown_at
        return not timedelta(0) <= age <= self._max_age  # a clock may be set back

    def _check_server(self, witness: Witness, key: ResourceKey, step: PlannedStep) -> None:
        """Refuse a server of which there is no dump. A verification may look where the plan writes nothing."""
        if step.writes and dumped_incarnation(self._leased, key) is None:
            raise PermanentError(
                Reason.BACKUP_UNPROVEN,
                f"{step.name}: there is no dump of {key}, so nothing shows which server it may write to",
                hint="`resetd resume ID --replan` makes a new plan, with a backup.",
            )
        check_incarnation(self._leased, key, witness.incarnation, asks=step.name)

    def _known_failures(self, service: str, database: str) -> tuple[Failure, ...]:
        for step in self._leased.plan.steps if self._leased.plan else ():
            if step.kind is StepKind.HANDSHAKE and (step.service, step.database) == (service, database):
                return step.failures
        return ()
