"""Holders: pods that a reset makes for a service, for its commands to run in.

The engine asks for one where the catalog says `runIn: holder`. The sweeper lists them and removes those whose reset is
at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Pod
from schemas.wire import AttemptId, ResetId


@dataclass(frozen=True)
class Need:
    """What a holder is needed for."""

    service: str
    """The catalog's name of the service whose commands run in it."""
    attempt: AttemptId
    """The attempt that is about to act. Its reset owns the holder."""
    seconds: float
    """How long the attempt may take at most."""


@dataclass(frozen=True)
class Holder:
    """A holder as it was listed."""

    environment: str
    name: str
    uid: str
    version: str
    """Changes with every attempt that uses the holder."""
    reset_id: ResetId
    ended: bool
    """Whether nothing can run in it any more."""


class Holders(Protocol):
    """Makes, lists and removes holders. Every method raises TemporaryError or PermanentError."""

    async def hold(self, environment: str, selector: str, container: str | None, need: Need) -> Pod:
        """Return the holder of the attempt's reset for a service, once it runs: made, or found again.

        - It is made from the template of the service's Deployment, StatefulSet or Argo Rollout: its image, variables,
          volumes and account.
        - It only sleeps, and the service need not run for it.
        - It belongs to nobody else: it has no label of the service, no probe and no hook.
        - Each call changes the holder's version.
        - Repeating the call is harmless. The wait is bounded.

        Raises:
            TemporaryError: `pod-not-ready`: it does not run yet.
            PermanentError: `pod-not-found` (no one workload, or an ambiguous container), `pod-not-ready` (it is too
                old to live as long as is needed), `kubernetes-forbidden`.
        """
        ...

    async def holder_refusals(
        self, environment: str, selector: str, container: str | None, service: str
    ) -> tuple[PermanentError, ...]:
        """Return why no holder of a service could be made, used or removed. Nothing is changed.

        Its workload and container are looked for, and the cluster is asked for the rights and whether it would admit
        the pod.

        Raises:
            TemporaryError: that can't be told now.
        """
        ...

    async def holders(self) -> tuple[Holder, ...]:
        """Return the holders of all environments that are not going away already."""
        ...

    async def remove_holder(self, holder: Holder) -> bool:
        """Remove a holder as it was listed. Where it was used since, or is gone, do nothing and return False."""
        ...
