"""What the follower of a command asks and tells around its launch."""

from __future__ import annotations

from typing import Protocol

from schemas.resets import Attempt, Control


class LaunchGuard(Protocol):
    """One for each attempt at a command.

    - A start calls `record` first.
    - Each launch, the first one and one that is delivered once more, calls `may_launch`, then `check_lease`.
    - An attempt that an earlier process recorded begins with `seen_alive`, or with a launch delivered once more.
    """

    async def record(self, control: Control) -> Attempt:
        """Record the attempt whose command is about to be launched: durable when this returns.

        Raises:
            LeaseLostError: another process may hold the lease.
        """
        ...

    async def may_launch(self) -> None:
        """Show that the command may be launched now: what was shown a moment ago may not hold any more.

        Raises:
            PermanentError: the command must never be launched any more.
            TemporaryError: that can't be told now; ask again.
        """
        ...

    def check_lease(self) -> None:
        """Show that this process still holds the lease. No wait lies between this and the launch.

        Raises:
            LeaseLostError: another process may hold the lease.
        """
        ...

    async def seen_alive(self) -> None:
        """Called once, when the command was seen running."""
        ...
