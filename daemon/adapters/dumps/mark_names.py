"""How marks are named beside the dumps: `{bucket}/{position}-{digest}-{writer}.json`, each put once.

The name says what is compared. Positions fall into buckets, so that finding the newest mark lists two short ones,
however many marks there are. Nobody changes or replaces a mark, so several daemons need no lock.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from schemas.marks import Mark

SET_ASIDE = "set-aside"
"""The folder of marks that are evidence and no marks any more."""
PRUNED = "pruned"
"""The folder of names that say from before which time marks may be gone."""
_BUCKET_SIZE = 1000
_KEPT_BUCKETS = 2
"""The newest ones with a mark stay, however old they are: the guard against a restored state needs the newest mark."""


def name_of(mark: Mark) -> str:
    """Return a name for a mark that nobody has."""
    position = mark.position
    bucket = f"{position.number // _BUCKET_SIZE:015d}"
    return f"{bucket}/{position.number:018d}-{position.digest or 'none'}-{secrets.token_hex(4)}.json"


def is_mark(name: str) -> bool:
    """Tell whether a name in a bucket is a mark's."""
    return name.endswith(".json")


def buckets(folders: Iterable[str]) -> list[str]:
    """Return those of the folders of a state that hold marks, newest first."""
    return sorted((name for name in folders if name.isdigit()), reverse=True)


def prunable(filled: list[str]) -> list[str]:
    """Return the buckets that may go once they are old, oldest first, of those that hold marks, newest first."""
    return filled[_KEPT_BUCKETS:][::-1]
