"""The people of a round, and how they answer when they are asked for their consent. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

APPROVAL_TTL = 8.0
"""RESETD_APPROVAL_TTL of the daemons, in seconds: so short that consents expire in the middle of rounds."""
ASKED_AT_MOST = 4
"""How many times people answer for one reset. Then nobody does, and its time to be approved passes."""


@dataclass(frozen=True)
class Person:
    """A token: who acts with it, as what, and where."""

    subject: str
    roles: tuple[str, ...]
    environments: tuple[str, ...] = ("*",)


OPERATOR = Person("operator", ("viewer", "requester", "operator", "approver", "admin"))
"""Asks, attends to what stopped, and has every right: that nobody approves a request of their own is no matter of
rights."""
IN_CAPITALS = Person("OPERATOR", ("approver",))
"""The same person under another spelling."""
BEN = Person("ben", ("requester", "approver"))
CLEO = Person("cleo", ("approver", "admin"))
FAY = Person("fay", ("operator", "approver"))
"""Accepts, too, what the operator may not accept in a reset of their own, or not alone."""
EVE = Person("eve", ("approver",), ("qa-*",))
"""Approves elsewhere."""
SAM = Person("sam", ("approver",), ("*-sandbox",))
"""Approves for sandboxes: never what a production uses, too."""
DAN = Person("dan", ("operator",))
"""No approver."""
PEOPLE = (OPERATOR, IN_CAPITALS, BEN, CLEO, FAY, EVE, SAM, DAN)
_APPROVERS = (BEN, CLEO, FAY)
APPROVES_IN = {one.subject: one.environments if "approver" in one.roles else () for one in PEOPLE}
"""Subject -> globs of the environments in which they are an approver."""


class Which(StrEnum):
    """The plan that a reply names."""

    PRESENT = "present"
    FORMER = "former"
    """One that the reset had before; where it had none, no plan at all."""
    NONE = "none"
    """No plan at all has that hash."""


@dataclass(frozen=True)
class Reply:
    """What somebody says `after` so many seconds, once people were asked to agree to a plan."""

    after: float
    by: str
    act: str = "approve"
    plan: Which = Which.PRESENT


def replies(
    seed: str, asking: int, required: int, requesters: Collection[str], *, ttl: float = APPROVAL_TTL
) -> tuple[Reply, ...]:
    """Choose who says what, when a reset asks for the `asking`-th time (0, 1, ...) for `required` approvals.

    `seed` is the name of its request, and `requesters` are the subjects that asked for it with a token.
    """
    chance = random.Random(f"{seed}/{asking}")  # noqa: S311 - to be repeated, not to be secret
    able = [one.subject for one in _APPROVERS if one.subject not in requesters]
    chance.shuffle(able)
    kind = chance.random()
    if asking >= ASKED_AT_MOST:
        return ()
    if kind < 1 / 8:
        # Nothing else is said, so that a daemon which lets one of these count gives itself away.
        return tuple(_that_does_not_count(chance, sorted(requesters), all_of_it=True))
    said = _that_does_not_count(chance, sorted(requesters))
    if kind < 1 / 6:
        return (*said, Reply(chance.uniform(0.1, 0.5), able[0], "deny"))
    if kind < 1 / 5:
        return (*said, *(Reply(ttl + 0.2, who) for who in able))
    given = [Reply(chance.uniform(0.05, 0.5), who) for who in able[:required]]
    if kind < 1 / 3:
        given.pop()
    elif kind < 1 / 2 and required > 1:
        # The consent is as old as its oldest approval, so little time is left to use it.
        given[-1] = Reply(ttl - chance.uniform(0.3, 2.0), given[-1].by)
    elif kind < 1 / 2:
        given.append(Reply(given[0].after + 0.05, given[0].by))
    return (*said, *given)


def _that_does_not_count(
    chance: random.Random, requesters: list[str], *, all_of_it: bool = False
) -> list[Reply]:
    """Approvals that a daemon has to refuse, some of which come after those that count."""
    capitals = [IN_CAPITALS.subject] if OPERATOR.subject in requesters else []
    candidates = [
        *(Reply(0.0, who) for who in (*requesters, *capitals, EVE.subject, SAM.subject, DAN.subject)),
        Reply(0.0, CLEO.subject, plan=Which.NONE),
        Reply(0.0, FAY.subject, plan=Which.FORMER),
    ]
    chosen = candidates if all_of_it else chance.sample(candidates, chance.choice((0, 1, 2, 3)))
    return [Reply(chance.uniform(0.0, 0.6), reply.by, reply.act, reply.plan) for reply in chosen]
