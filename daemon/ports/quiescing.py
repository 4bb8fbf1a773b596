"""Quiescing: objects of the cluster are kept from starting a second writer, and get their original values back.

What an object was before is remembered in the object itself, beside the list of the resets that quiesced it. So whoever
comes next can undo it, whatever became of the reset or of this daemon's state.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.quiescing import ObjectRef
from schemas.wire import ResetId, ResourceKey


@dataclass(frozen=True)
class Obstacles:
    """Why an object could not be quiesced, or not be kept so."""

    undone_by: tuple[str, ...] = ()
    """Who would undo it, as sentences for people, each with the next step."""
    missing_rights: tuple[str, ...] = ()
    """`patch deployments.apps in qa-sandbox`."""


@dataclass(frozen=True)
class Quiesced:
    """An object that resets have quiesced, as it was read."""

    object: ObjectRef
    version: str
    """Changes with everything that is written to the object."""
    resets: tuple[ResetId, ...]
    """The resets that have quiesced it and have not released it, in their order."""
    original: str
    """What it was before, for people: `2 replicas`, `automated sync`."""
    uses: tuple[ResourceKey, ...] = ()
    """The databases that its pods used, sorted."""
    held: bool = True
    """Whether it still is as it was quiesced: False where somebody has changed it since."""
    started_nothing: bool = False
    """Whether it started nothing before either: no replicas, no automated sync, suspended, paused."""
    since: datetime | None = None
    """When it was quiesced first, by the daemon's clock; None where that is not remembered."""


class Quiescing(Protocol):
    """Quiesces and releases objects. Every method raises TemporaryError or PermanentError."""

    async def around(
        self, environment: str, workloads: Mapping[ObjectRef, Collection[ResourceKey]]
    ) -> Mapping[ObjectRef, tuple[ResourceKey, ...]]:
        """Return what else has to rest with workloads of an environment, with the databases that its pods may use.

        - CronJobs and KEDA's ScaledJobs whose pods are like those of one of the workloads: they match its selector, or
          share a Secret, a database's URL or an image with it.
        - KEDA's ScaledObjects that scale one of the workloads.
        - ArgoCD's Applications that keep any of these objects as git has them.

        Args:
            environment: Its name.
            workloads: The workloads of it that are to rest, each with the databases that its pods use.

        Raises:
            PermanentError: `kubernetes-forbidden`.
        """
        ...

    async def obstacles(self, target: ObjectRef) -> Obstacles:
        """Return what stands against quiescing an object. Nothing is changed."""
        ...

    async def quiesce(
        self, target: ObjectRef, reset_id: ResetId, uses: Collection[ResourceKey] = (), *, status: int
    ) -> Quiesced:
        """Keep an object at rest for a reset, and remember what it was before.

        - The original values are written once, in the same change. What is remembered already stays.
        - The reset joins the object's list with its `status`, the number of the last one that it told. Repeating the
          call is harmless, gives the object another version, and keeps the greater status.
        - It answers once the change was read back. What the object ran before may still run: see `running`.

        Raises:
            TemporaryError: somebody else changes the object at the same time.
            PermanentError: `quiesce-refused`: there is no such object, or the change did not stay.
        """
        ...

    async def find(self, target: ObjectRef) -> Quiesced | None:
        """Return an object that is quiesced; None where it is not, or is not there."""
        ...

    async def running(self, target: ObjectRef) -> tuple[str, ...]:
        """Return what of an object still runs, by name: pods that are there, unfinished Jobs, a sync of ArgoCD."""
        ...

    async def release(self, target: ObjectRef, reset_id: ResetId, *, status: int) -> Quiesced | None:
        """Take a reset off an object's list. The last one gives the object its original values back, in one change.

        A reset that has quiesced the object at a later `status` stays on the list: a worker that stood still since
        then undoes nothing of what its successor did.

        Return what keeps it quiesced: the resets that are left; None where none is. Repeating the call is harmless. An
        object that is gone, or was never quiesced, has nothing to release.

        Raises:
            TemporaryError: somebody else changes the object at the same time.
        """
        ...

    async def missed(self, target: ObjectRef) -> str:
        """Say which runs of a quiesced CronJob fell into its rest, and what becomes of them once it is released.

        Empty where there are none, and for all other kinds.
        """
        ...

    async def quiesced(self, environment: str | None = None) -> tuple[Quiesced, ...]:
        """Return all objects that are quiesced, of one environment or of all. What may not be listed is left out."""
        ...

    async def release_listed(self, listed: Quiesced, resets: Collection[ResetId]) -> bool:
        """Take resets off an object as it was listed. Where it was changed since, or is gone, do nothing: False."""
        ...

    async def ask_to_look(self, targets: Collection[ObjectRef]) -> datetime | None:
        """Ask ArgoCD to look at the Applications among these objects; one that was asked already is left alone.

        Return when that was, by the clock of the API server; None where there is no Application among them.
        """
        ...

    async def unhealthy(self, targets: Collection[ObjectRef], since: datetime | None) -> str:
        """Say why released objects do not count as healthy yet, for people; empty where they do. Nothing is changed.

        ArgoCD is believed only where it has looked since `ask_to_look`, whose answer `since` is.
        """
        ...
