"""The rule about stops: after one nothing is destroyed on a dump from before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sandbox.journal import Journal, Launch, Marker
from tests.torture.judge.evidence import Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.histories import stops
from tests.torture.judge.launches import planned


def destroyed_on_old_dump(evidence: Evidence) -> Iterator[Finding]:
    """Find destructive commands on a database whose last dump is from before the reset's last stop."""
    stopped = stops(evidence)
    for launch, marker, step in _destructive(evidence):
        last = max((at for at in stopped.get(marker.reset, ()) if at < launch.started_at), default=0.0)
        for resource in step:
            taken = [
                # The disk says when the file was written, whatever is recorded of it.
                min(dump.taken_at, dump.taken_at if dump.written_at is None else dump.written_at)
                for dump in evidence.dumps
                if (dump.reset_id, dump.resource) == (marker.reset, resource)
                and dump.taken_at <= launch.started_at
            ]
            # That there is a dump at all is the rule of `launches`.
            if taken and max(taken) < last:
                yield Finding("old-dump", f"{launch.attempt} on {resource}: dumped before the stop at {last}")


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
