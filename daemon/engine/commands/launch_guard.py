"""What the follower of a command asks and tells around its launch."""

from __future__ import annotations

from typing import Protocol

from schemas.resets import Attempt, Control


class LaunchGuard(Protocol):
    """One for each attempt at a command. Its methods are called in this order, each as often as needed."""

    async def record(self, control: Control) -> Attempt:
        """Record the attempt whose command is about to be launched: durable when this returns.

        Raises:
            LeaseLostError: another process may hold the lease.
        """
        ...

    async def may_launch(self) -> None:
        """Show once more that the command may be launched: called before each launch but the very first.

        Raises:
            PermanentError: the command must never be launched any more.
            TemporaryError: that can't be told now; ask again.
        """
        ...

    def check_lease(self) -> None:
        """Called right before each launch, with no wait in between.

        Raises:
            LeaseLostError: another process may hold the lease.
        """
        ...

    async def seen_alive(self) -> None:
        """Called once, when the command was seen running. That is progress of the reset."""
        ...
