"""Which backup branches of a repository may go. Pure.

A branch is kept as long as its reset's dumps are: it is the repository's part of the same way back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from schemas.wire import ResetId

PREFIX = "backup/"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class KeptBranch:
    """A backup branch, with what is known of its reset."""

    reset_id: ResetId
    rewound: str | None
    """The branch that the reset rewound, as the catalog names it; None: the default branch."""
    made_at: str | None
    """The commit at which the reset made it; None where nobody wrote that down."""
    commit: str
    """The commit at which it is now."""
    over: bool
    """Whether the reset has nothing to resume."""
    dumped: bool
    """Whether a dump of the reset is kept."""
    ended_at: datetime
    """When the reset changed last."""


def made_by(name: str) -> ResetId | None:
    """Return the reset after which a backup branch is named; None where a person made it."""
    rest = name.removeprefix(PREFIX)
    return ResetId(rest) if name.startswith(PREFIX) and _UUID.fullmatch(rest) else None


def branches_to_delete(kept: Iterable[KeptBranch], *, before: datetime) -> tuple[KeptBranch, ...]:
    """List those that may go, the oldest first. `kept` are all of one repository whose resets are known.

    - A reset that can be resumed, or of which a dump is kept, keeps its branch.
    - So does one that changed after `before`.
    - The newest backup of each rewound branch stays, whatever its age.
    - A branch that is not where its reset made it is somebody's.
    """
    branches = sorted(kept, key=lambda each: each.reset_id)
    newest = {each.rewound: each.reset_id for each in branches}
    return tuple(
        each
        for each in branches
        if each.over
        and not each.dumped
        and each.ended_at < before
        and each.made_at == each.commit
        and newest[each.rewound] != each.reset_id
    )
