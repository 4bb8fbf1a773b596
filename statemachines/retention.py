"""What may go when it is old, and what is left of requests that were refused. Pure.

A reset that has work to resume never goes, however old it is. One that stopped has none once a later reset has touched
its resources (`statemachines.acts`), and none where it failed at planning: to ask again does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.reasons import Reason
from schemas.resets import Channel, Reset, ResetState
from schemas.retention import Refusal
from schemas.wire import ResetId, ResourceKey
from statemachines.lifecycle import TERMINAL, cancelled_for_good, failed_at_planning

ANSWERED = frozenset({ResetState.REJECTED, ResetState.PLANNED})
"""A reset in one of these is an answer and no more: nothing was touched, and nothing can be resumed."""

OVER = TERMINAL - ANSWERED
"""A reset in one of these may have worked, and nothing can be resumed."""

SUPERSEDABLE = frozenset({ResetState.FAILED, ResetState.CANCELLED})
"""A reset in one of these holds no lock. Once it is superseded it is neither resumed nor rolled back."""

NO_SUCH_ENVIRONMENT = frozenset({Reason.UNKNOWN_ENVIRONMENT, Reason.UNKNOWN_KIND})
"""Why a request is refused whose environment is none. Anybody can think of any number of such names."""

REFUSED_AGAIN = NO_SUCH_ENVIRONMENT | {Reason.SCHEMA_VIOLATION, Reason.TOO_OLD}
"""Why a request is refused that is refused again whenever it comes. Any other one could be done the next time: its
event and its key stay as long as those of a reset that is done, and so does the audit where a rule refused it."""

WAITS_FOR_ITS_ENVIRONMENT = Channel.PROVISIONING
"""A request of this channel may come before its environment. So its answer is kept as long as any other answer."""


def is_over(reset: Reset) -> bool:
    """Whether the reset has no work to resume, whatever others do."""
    return reset.state in TERMINAL or cancelled_for_good(reset) or failed_at_planning(reset)


def add_refused(refusals: Mapping[str, Refusal], resets: Iterable[Reset]) -> dict[str, Refusal]:
    """Return what is left of rejected resets, by environment: added to `refusals`, oldest first."""
    added: dict[str, Refusal] = {}
    for reset in sorted(resets, key=lambda reset: reset.id):
        if reset.state is not ResetState.REJECTED:
            continue
        before = added.get(reset.environment) or refusals.get(reset.environment)
        # A reset that the intake rejected has one status. The cluster was not asked for its environment.
        asked = reset.cause is Reason.UNKNOWN_ENVIRONMENT and reset.sequence > 1
        until = before.unknown_until if before else None
        if asked and (until is None or until < reset.created_at):
            until = reset.created_at
        added[reset.environment] = Refusal(
            environment=reset.environment,
            count=(before.count if before else 0) + 1,
            first_at=min(before.first_at, reset.created_at) if before else reset.created_at,
            last_at=max(before.last_at, reset.created_at) if before else reset.created_at,
            reason=reset.cause or Reason.INTERNAL,
            reset_id=reset.id,
            channel=reset.channel,
            requested_by=reset.request.requested_by,
            event_source=reset.event_source,
            event_id=reset.event_id,
            unknown_until=until,
        )
    return added


@dataclass(frozen=True)
class KeptDump:
    """A recorded dump, as retention sees it."""

    path: str
    resource: ResourceKey
    reset_id: ResetId
    state: ResetState
    """Of its reset."""
    taken_at: datetime
    first: bool
    """Whether it shows the database as it was before its reset destroyed anything."""
    proven: bool


def dumps_that_may_go(dumps: Sequence[KeptDump], *, keep: int, older_than: datetime) -> tuple[KeptDump, ...]:
    """Return the dumps that nobody needs, in the order in which they go.

    Resets are counted, not dumps: those of the newest `keep` resets of a database stay, whatever their age. Of an older
    reset a dump goes only

    - once it was taken before `older_than`,
    - after a later reset of that database is `done`,
    - where it is not the newest proven one of the database,
    - and a reset's first dump with or after all others of that database.
    """
    going: list[KeptDump] = []
    for resource in sorted({dump.resource for dump in dumps}):
        of_one = [dump for dump in dumps if dump.resource == resource]
        # Ids of resets are in the order of time.
        newest_first = sorted({dump.reset_id for dump in of_one}, reverse=True)
        done = max((dump.reset_id for dump in of_one if dump.state is ResetState.DONE), default="")
        proven = [dump for dump in of_one if dump.proven]
        newest_proven = max(proven, key=lambda dump: (dump.taken_at, dump.path), default=None)
        for reset_id in reversed(newest_first[keep:]):
            if not reset_id < done:
                continue
            own = sorted(
                (dump for dump in of_one if dump.reset_id == reset_id),
                key=lambda dump: (dump.first, dump.path),
            )
            others_go = True
            for dump in own:
                goes = dump.taken_at < older_than and dump is not newest_proven
                if goes and (others_go or not dump.first):
                    going.append(dump)
                others_go = others_go and goes
    return tuple(going)
