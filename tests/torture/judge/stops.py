"""Rules about stops: after one nothing is destroyed on a dump, or on a consent that was used, from before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from sandbox.journal import Journal, Launch, Marker
from tests.torture.judge.evidence import Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.launches import planned, seconds

_STOPPED = frozenset({"failed", "needs-operator", "cancelled"})


def destroyed_on_old_dump(evidence: Evidence) -> Iterator[Finding]:
    """Find destructive commands on a database whose last dump is from before the reset's last stop."""
    stops = _stops(evidence)
    for launch, marker, step in _destructive(evidence):
        last = max((at for at in stops[marker.reset] if at < launch.started_at), default=0.0)
        for resource in step:
            taken = [
                dump.taken_at
                for dump in evidence.dumps
                if (dump.reset_id, dump.resource) == (marker.reset, resource)
                and dump.taken_at <= launch.started_at
            ]
            # That there is a dump at all is the rule of `launches`.
            if taken and max(taken) < last:
                yield Finding("old-dump", f"{launch.attempt} on {resource}: dumped before the stop at {last}")


def destroyed_on_old_consent(evidence: Evidence) -> Iterator[Finding]:
    """Find destructive commands of a plan that needs approvals, without as many since the last one was spent.

    It is spent when something is destroyed, and ends with the stop that follows.
    """
    stops = _stops(evidence)
    before: dict[str, float] = {}
    for launch, marker, _ in _destructive(evidence):
        reset, at = marker.reset, launch.started_at
        required = evidence.plans.get(reset, {}).get("approvalsRequired", 0)
        spent = before.get(reset)
        since = 0.0 if spent is None else next((stop for stop in stops[reset] if spent < stop < at), 0.0)
        people = {
            act.actor
            for act in evidence.acted
            if (act.reset_id, act.kind) == (reset, "approve") and since < act.at < at
        }
        if len(people) < required:
            text = f"{launch.attempt} with {len(people)} of {required} approvals since {since}"
            yield Finding("old-consent", text)
        before[reset] = at


def _destructive(evidence: Evidence) -> Iterator[tuple[Launch, Marker, Sequence[str]]]:
    """The launches of destructive steps, in order, each with the databases that its step touches."""
    launches = Journal(evidence.launches).outermost()
    for launch in sorted(launches, key=lambda one: one.started_at):
        if launch.attempt is None:
            continue
        marker = Marker.parse(launch.attempt)
        step = planned(evidence, marker.reset, marker.step)
        if step.get("destructive"):
            yield launch, marker, sorted(key for key in step["touches"] if key.startswith("database/"))


def _stops(evidence: Evidence) -> Mapping[str, list[float]]:
    """When each reset came to a stop, in seconds since 1970."""
    found: dict[str, list[float]] = defaultdict(list)
    state: dict[str, str] = {}
    for told in sorted(evidence.told, key=lambda one: (one.data["resetId"], one.data["sequence"])):
        reset, now = told.data["resetId"], told.data["state"]
        if now in _STOPPED and now != state.get(reset):
            found[reset].append(seconds(told.data["occurredAt"]))
        state[reset] = now
    return found
