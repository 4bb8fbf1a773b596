"""Who asked for a reset: people whom a token showed, and names that a topic claims. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from schemas.resets import Channel, Reset


class Requester(NamedTuple):
    """A name, and the way by which the request in that name came."""

    name: str
    channel: Channel

    @property
    def is_known(self) -> bool:
        """Whether a token showed who it is. A name that came otherwise is a claim."""
        return self.channel is Channel.HTTP


class AskedBy(TypedDict):
    """The fields of a reset that say who asked for it."""

    requested_by: tuple[str, ...]
    claimed_by: tuple[str, ...]


def asked_by(first: Requester, joined: Sequence[Requester]) -> AskedBy:
    """Return who asked for a reset, each name once, in the order in which they did."""
    everybody = (first, *joined)
    names = dict.fromkeys(each.name for each in everybody)
    known = {each.name for each in everybody if each.is_known}
    return AskedBy(requested_by=tuple(names), claimed_by=tuple(name for name in names if name not in known))


def with_requester(reset: Reset, requester: Requester) -> Reset:
    """Return the reset with one more who asked for it."""
    claimed = dict.fromkeys(reset.claimed_by)
    if requester.is_known:
        claimed.pop(requester.name, None)
    elif requester.name not in reset.requested_by:
        claimed[requester.name] = None
    return reset.model_copy(
        update={
            "requested_by": tuple(dict.fromkeys((*reset.requested_by, requester.name))),
            "claimed_by": tuple(claimed),
        }
    )
