"""A thousand events, most of them careless, some hostile, and a daemon that is killed twice while it reads them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from sandbox.events import Publisher, Seen, read_until
from sandbox.platform.platform import Platform
from sandbox.services.standins.controls import Control
from schemas.publish import ResetRequested
from statemachines.intake.desk import MOST_CLAIMED
from tests.integration.people.thousand import ENVIRONMENT, SOURCE, Sent, World, waves
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

CATALOG = Path("daemon/config/catalogs/fuse-platform.yaml")
KILLS = ("after-rejected", "after-planned")
"""In the first wave right after a batch is stored, before the broker is told; in the second while plans are made."""
AT_REST = {"done", "planned", "rejected", "denied", "failed", "needs-operator", "cancelled"}
TOO_LARGE_FOR_THE_BROKER = 1024 * 1024
ADDED = ("resetd-reason", "resetd-detail", "resetd-topic", "resetd-partition", "resetd-offset")


@dataclass(frozen=True)
class Told:
    """What the daemon made of a thousand events, and what was sent."""

    harness: Harness
    world: World
    sent: list[Sent]

    @cached_property
    def records(self) -> dict[tuple[int, int], Seen]:
        """What the broker has on the requests' topic, by partition and offset."""
        number = sum(not one.environments_topic for one in self.sent)
        seen = self._read("requests", lambda seen: len(seen) >= number)
        return {(one.partition, one.offset): one for one in seen}

    @cached_property
    def dead_letters(self) -> list[Seen]:
        """What is on the dead letters' topic; the daemon has said that it published all."""
        number = sum(one.dead is not None for one in self.sent)
        return self._read("dead-letters", lambda seen: len({_origin(one) for one in seen}) >= number)

    @cached_property
    def statuses(self) -> dict[str, dict[int, dict[str, Any]]]:
        """Status data by reset and sequence, until each reset's end came."""
        number = sum(one.id is not None for one in self.sent)

        def ended(seen: list[Seen]) -> bool:
            each = (json.loads(one.value or b"null") for one in seen)
            return len({one["resetId"] for one in each if one["state"] in AT_REST}) >= number

        found: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        for one in self._read("status", ended):
            data = json.loads(one.value or b"null")
            # Published at least once: what comes again says the same.
            assert found[data["resetId"]].setdefault(data["sequence"], data) == data
        return found

    def resets(self) -> list[dict[str, Any]]:
        """All that the API knows."""
        return all_resets(self.harness)

    def _read(self, topic: str, done: Any) -> list[Seen]:  # noqa: ANN401 - a predicate
        harness = self.harness
        return read_until(harness.platform.bootstrap, harness.topics[topic], done, within=20)


def all_resets(harness: Harness) -> list[dict[str, Any]]:
    """Every page of the list."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = harness.daemon.get(f"/api/v1/resets?limit=200{cursor}")
        found += page["items"]
        if page["nextCursor"] is None:
            return found
        cursor = f"&cursor={page['nextCursor']}"


def _origin(letter: Seen) -> tuple[int, int]:
    """Partition and offset of the record that a dead letter is of."""
    headers = dict(letter.headers)
    return int(headers["resetd-partition"] or b""), int(headers["resetd-offset"] or b"")


def send(harness: Harness, events: list[Sent]) -> None:
    """Publish the records as they are."""
    for one in events:
        topic = harness.topics["environments" if one.environments_topic else "requests"]
        harness.publisher.send(topic, one.key, one.value, one.headers)
    harness.publisher.flush()


def until_at_rest(harness: Harness, number: int, *, waiting: int) -> None:
    """Until there are so many resets, and all but so many have come to rest."""

    def look() -> bool:
        found = all_resets(harness)
        moving = [one for one in found if one["state"] not in AT_REST]
        parked = [one for one in moving if (one["waitingFor"] or {}).get("reason") == "not-before"]
        return len(found) >= number and len(moving) == len(parked) <= waiting

    wait_for(look, f"{number} resets, all but {waiting} at rest", within=240, every=0.4)


@pytest.fixture(scope="module")
def told(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    directory = tmp_path_factory.mktemp("intake")
    catalog = directory / "catalog.yaml"
    shipped = CATALOG.read_text()
    assert "queue: {waiting: 3}" in shipped
    # How many may wait is not what this is about: as many as one wave holds.
    catalog.write_text(shipped.replace("queue: {waiting: 3}", "queue: {waiting: 100}"))
    platform.control(ENVIRONMENT, "sequence-builder-api", seed=Control(seconds=0.05))
    world = World()
    events = world.events()
    with running(platform, directory, settings={"RESETD_CATALOG": str(catalog)}) as harness:
        expected = 0
        for number, wave in enumerate(waves(events)):
            expected += sum(one.id is not None for one in wave)
            last = number == len(KILLS)
            if not last:
                (harness.crashes / KILLS[number]).touch()
            send(harness, wave)
            if not last:
                wait_for(lambda: harness.daemon.pid is None, KILLS[number], within=30)
                harness.start()
            until_at_rest(harness, expected, waiting=0 if last else 1)
        assert not any(harness.crashes.iterdir())
        wait_for(
            lambda: all(one["publishedAt"] for one in dead_letters(harness)), "all are published", within=20
        )
        yield Told(harness, world, events)


def dead_letters(harness: Harness) -> list[dict[str, Any]]:
    """The table, as the API shows it."""
    found: list[dict[str, Any]] = harness.daemon.get("/api/v1/dead-letters?limit=500")
    return found


@pytest.mark.timeout(480)
class TestAThousandEvents:
    def test_a_reset_comes_of_each_event_that_asks_for_one_and_of_no_other(self, told: Told) -> None:
        ends = {
            last["request"]["id"]: last["state"]
            for each in told.statuses.values()
            for last in [each[max(each)]]
        }
        assert ends == {one.id: one.ends for one in told.sent if one.id is not None}
        assert len(told.statuses) == len(ends)
        assert Counter(one["state"] for one in told.resets()) == Counter(ends.values())

    def test_each_refused_one_is_rejected_once_with_its_cause(self, told: Told) -> None:
        causes = [
            (one["request"]["source"], one["request"]["id"], one["cause"])
            for each in told.statuses.values()
            for one in each.values()
            if one["state"] == "rejected"
        ]
        assert sorted(causes) == sorted(
            (SOURCE, one.id or "", one.cause.value) for one in told.sent if one.cause is not None
        )

    def test_each_unreadable_one_is_a_dead_letter_byte_for_byte_with_its_reason(self, told: Told) -> None:
        reasons = {one.same_bytes(): one.dead for one in told.sent if one.dead is not None}
        expected = {
            place: reasons[one.key, one.value, one.headers]
            for place, one in told.records.items()
            if (one.key, one.value, one.headers) in reasons
        }
        assert len(expected) == len(reasons)
        letters = {_origin(one): one for one in told.dead_letters}
        assert letters.keys() == expected.keys()
        for one in told.dead_letters:
            place = _origin(one)
            original = told.records[place]
            assert (one.key, one.value) == (original.key, original.value)
            assert one.headers[: -len(ADDED)] == original.headers
            added = one.headers[-len(ADDED) :]
            assert tuple(name for name, _ in added) == ADDED
            assert dict(added)["resetd-reason"] == (expected[place] or "").encode()
            assert dict(added)["resetd-topic"] == told.harness.topics["requests"].encode()

    def test_the_broker_has_what_was_sent(self, told: Told) -> None:
        sent = Counter(one.same_bytes() for one in told.sent if not one.environments_topic)
        assert Counter((one.key, one.value, one.headers) for one in told.records.values()) == sent

    def test_the_table_of_dead_letters_has_each_once(self, told: Told) -> None:
        places = [(one["partition"], one["offset"]) for one in dead_letters(told.harness)]
        assert sorted(places) == sorted({_origin(one) for one in told.dead_letters})

    def test_who_asked_for_the_same_as_one_that_waits_joined_it(self, told: Told) -> None:
        (anchor,) = [one for one in told.resets() if "anchor" in one["requestedBy"]]
        names = set(anchor["requestedBy"])
        assert len(names) == len(anchor["requestedBy"]) == MOST_CLAIMED
        assert names - {"anchor"} < set(told.world.joiners)

    def test_the_history_of_each_reset_has_no_gap(self, told: Told) -> None:
        for each in told.statuses.values():
            assert sorted(each) == list(range(1, max(each) + 1))

    def test_only_the_one_real_reset_launched_anything(self, told: Told) -> None:
        resets = {one["id"]: one for one in told.resets()}
        launched = {
            attempt.partition("/")[0] for attempt in told.harness.platform.journal_reader().by_attempt()
        } & resets.keys()
        assert [resets[one]["state"] for one in launched] == ["done"]
        assert not told.harness.twice()

    def test_a_daemon_that_was_killed_stores_no_record_again(self, told: Told) -> None:
        lines = [json.loads(one) for one in told.harness.daemon.log.read_text().splitlines()]
        assert not [one for one in lines if one["event"] in {"intake.partition-lost", "intake.paused"}]
        reached: Counter[int] = Counter()
        unsaid = 0
        for one in lines:
            if one["event"] == "intake.stored" and one["topic"] == told.harness.topics["requests"]:
                passed = one["next"] - reached[one["partition"]]
                assert passed >= one["entries"]
                # The kill right after a commit leaves that batch without its line.
                unsaid += passed > one["entries"]
                reached[one["partition"]] = one["next"]
        ends: Counter[int] = Counter()
        for partition, offset in told.records:
            ends[partition] = max(ends[partition], offset + 1)
        assert reached == ends
        assert unsaid <= len(KILLS)


@pytest.mark.timeout(240)
def test_a_dead_letter_too_large_for_the_broker_stays_in_the_table_and_blocks_nothing(
    platform: Platform, tmp_path: Path
) -> None:
    with running(platform, tmp_path) as harness:
        large = Publisher(platform.bootstrap, largest=2 * TOO_LARGE_FOR_THE_BROKER)
        topic = harness.topics["requests"]
        large.send(topic, b"a", b"x" * TOO_LARGE_FOR_THE_BROKER, ())
        large.flush()
        wait_for(lambda: dead_letters(harness), "the large one is in the table", within=30)
        harness.publisher.send(topic, b"b", b"small", ())
        harness.publisher.publish(ResetRequested(environment=ENVIRONMENT, requested_by="tests", dry_run=True))
        harness.wait_state(f"{ENVIRONMENT}/1", "planned")
        letters = read_until(platform.bootstrap, harness.topics["dead-letters"], bool, within=20)
        assert [one.value for one in letters] == [b"small"]
        assert harness.status(harness.resets(ENVIRONMENT)[0]["id"], "planned")[-1]["state"] == "planned"
        small, kept = dead_letters(harness)
        assert (kept["reason"], kept["publishedAt"]) == ("too-large", None)
        assert kept["refused"]
        assert (small["reason"], small["refused"]) == ("not-a-cloud-event", None)
        assert small["publishedAt"]
