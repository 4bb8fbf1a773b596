"""A daemon of one test's own beside the shared platform: own state, own topics, own consumer group."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import journal
from sandbox.daemon_process import DaemonProcess
from sandbox.events import Publisher, Seen, read_until
from sandbox.platform.platform import Platform
from schemas.publish import ENVIRONMENTS_TOPIC, REQUESTS_TOPIC
from tests.integration.stand.starts import forks
from tests.integration.stand.waiting import wait_for
from tests.torture.daemons import failpoints

RESET_WITHIN = 180.0
"""Seconds for one whole reset on a machine that other tests load, too."""


class Harness:
    """The daemon, what other services do to it, and what the witness saw of it."""

    def __init__(
        self,
        platform: Platform,
        directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.platform = platform
        tag = uuid.uuid4().hex[:8]
        self.topics = {
            name: f"{tag}.{name}" for name in ("requests", "environments", "status", "dead-letters")
        }
        self.crashes = directory / "crashes"
        self.crashes.mkdir(parents=True)
        variables = {
            **platform.environment(),
            "RESETD_REQUESTS_TOPIC": self.topics["requests"],
            "RESETD_ENVIRONMENTS_TOPIC": self.topics["environments"],
            "RESETD_STATUS_TOPIC": self.topics["status"],
            "RESETD_DEAD_LETTERS_TOPIC": self.topics["dead-letters"],
            "RESETD_KAFKA_GROUP_ID": tag,
            failpoints.STATES: str(self.crashes),
            **(settings or {}),
        }
        self.daemon = DaemonProcess(directory, variables, start=forks().start)
        names = {REQUESTS_TOPIC: self.topics["requests"], ENVIRONMENTS_TOPIC: self.topics["environments"]}
        self.publisher = Publisher(platform.bootstrap, topics=names)

    def start(self) -> None:
        """Start the daemon and wait for its API."""
        self.daemon.start()
        self.daemon.wait_ready()

    def reset(self, reference: str) -> dict[str, Any]:
        """A reset as the API shows it."""
        found: dict[str, Any] = self.daemon.get(f"/api/v1/resets/{reference}")
        return found

    def resets(self, environment: str) -> list[dict[str, Any]]:
        """The resets of an environment, newest first."""
        items: list[dict[str, Any]] = self.daemon.get(f"/api/v1/resets?environment={environment}")["items"]
        return items

    def wait_state(self, reference: str, *states: str, within: float = RESET_WITHIN) -> dict[str, Any]:
        """The reset once it is in one of these states.

        Raises:
            AssertionError: it came to rest in another state, or not in time; with what it says of itself.
        """
        resting = {"done", "planned", "rejected", "denied", "failed", "needs-operator", "cancelled"}
        last: dict[str, Any] = {}

        def look() -> dict[str, Any] | None:
            nonlocal last
            found = self.resets(reference.partition("/")[0])
            number = reference.partition("/")[2]
            chosen = (
                found[:1] if number == "@latest" else [one for one in found if str(one["number"]) == number]
            )
            if not chosen:
                return None
            last = chosen[0]
            if last["state"] in states:
                return last
            told = f"{reference} is {last['state']}: {last['cause']} {last['detail']}"
            assert last["state"] not in resting, told
            return None

        try:
            return wait_for(look, f"{reference} is one of {states}", within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{last}\n{self.daemon.last_lines()}") from error

    def act(self, reference: str, act: str, **body: Any) -> Any:  # noqa: ANN401 - JSON
        """POST an act; the answer, whatever its status."""
        with self.daemon.client() as client:
            return client.post(f"/api/v1/resets/{reference}/{act}", json=body)

    def launches(self, reset_id: str) -> Counter[str]:
        """Outermost launches by attempt of one reset, counted by the witness."""
        by_attempt = self.platform.journal_reader().by_attempt()
        return Counter(
            {attempt: len(all_) for attempt, all_ in by_attempt.items() if attempt.startswith(f"{reset_id}/")}
        )

    def twice(self, never: Collection[str] = ()) -> list[journal.Finding]:
        """What the witness calls launched twice, in the platform's whole life."""
        return journal.twice(self.platform.journal_reader(), never)

    def status(self, reset_id: str, last: str, *, within: float = 15.0) -> list[dict[str, Any]]:
        """The data of the reset's status events, until one of state `last` came; duplicates included."""
        found = read_until(
            self.platform.bootstrap,
            self.topics["status"],
            lambda seen: any(_state(one) == (reset_id, last) for one in seen),
            within=within,
        )
        told = [json.loads(one.value or b"null") for one in found]
        return [one for one in told if one["resetId"] == reset_id]


def _state(one: Seen) -> tuple[str, str]:
    data = json.loads(one.value or b"null")
    return data["resetId"], data["state"]


@contextmanager
def running(
    platform: Platform,
    directory: Path,
    *,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Harness]:
    """A started daemon with these RESETD_ variables besides its own; killed at the end, whatever happened."""
    harness = Harness(platform, directory, settings=settings)
    try:
        harness.start()
        yield harness
    finally:
        harness.daemon.kill()
        platform.clear_controls()
