"""Holders: pods that a reset makes for a service, for its commands to run in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from daemon.ports.pods.cluster import Pod
from schemas.wire import AttemptId, ResetId


@dataclass(frozen=True)
class Need:
    """What a holder is asked for."""

    service: str
    """The catalog's name of the service whose commands run in it."""
    attempt: AttemptId
    """The attempt that is about to act; its reset owns the holder."""
    seconds: float
    """How long that may take at most."""


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
    """Every method raises TemporaryError or PermanentError."""

    async def hold(self, environment: str, selector: str, container: str | None, need: Need) -> Pod:
        """The holder of the attempt's reset for a service: made from the Deployment's template, or found again.

        It has the template's image, variables, volumes and account, sleeps, belongs to nobody else (no label of the
        service, no probe, no hook), and the service need not run for it. Repeating it is harmless. Waits,
        bounded, until it runs.

        Raises:
            TemporaryError: `pod-not-ready`: it does not run yet.
            PermanentError: `pod-not-found` (no one Deployment, or an ambiguous container), `pod-not-ready` (it is too
                old to live as long as is needed), `kubernetes-forbidden`.
        """
        ...

    async def holders(self) -> tuple[Holder, ...]:
        """Every holder of every environment that is not going away already."""
        ...

    async def remove_holder(self, holder: Holder) -> bool:
        """Remove it as it was listed; False, and nothing happens, where it was used since or is gone."""
        ...
