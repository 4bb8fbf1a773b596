"""Faults that Kafka's clients meet: brokers down, leaders elsewhere, a member thrown out, offsets gone, records twice.

The mock has neither retention nor a clock of a group that could be turned. An expired session and expired offsets are
therefore the error codes of a real broker: the next heartbeat is from an unknown member, the next fetch is out of
range. The client that asks next gets the code, which is the daemon unless somebody else reads at the same moment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.injection import Injector, wait
from sandbox.faults.kinds import FaultKind
from sandbox.kafka.cluster import Cluster

_DOWN = 3.0
_MEMBER = 2.0
_ANSWERED_WITHIN = 10.0
_FETCH, _HEARTBEAT = 1, 12
_OFFSET_OUT_OF_RANGE, _UNKNOWN_MEMBER_ID = 1, 25
_ESTABLISHED = "01"


class KafkaFaults:
    """Injects faults into one cluster."""

    def __init__(self, armoury: Armoury, cluster: Cluster) -> None:
        self._armoury = armoury
        self._cluster = cluster
        self._moves = 0

    def injectors(self) -> dict[FaultKind, Injector]:
        """The injector of each kind that is served here."""
        return {
            FaultKind.KAFKA_DOWN: self.down,
            FaultKind.KAFKA_LEADER_MOVED: self.move_leaders,
            FaultKind.KAFKA_SESSION_EXPIRED: lambda armed: self.refuse(armed, _HEARTBEAT, _UNKNOWN_MEMBER_ID),
            FaultKind.KAFKA_OFFSETS_EXPIRED: lambda armed: self.refuse(armed, _FETCH, _OFFSET_OUT_OF_RANGE),
            FaultKind.KAFKA_REBALANCE: self.rebalance,
            FaultKind.KAFKA_DUPLICATE_DELIVERY: self.deliver_twice,
        }

    def down(self, armed: Armed) -> None:
        """Take all brokers down for a while; the fault counts when a client was connected."""
        if not self._clients():
            return
        with self._armoury.lasting(armed) as is_to_end:
            self._cluster.down()
            try:
                self._armoury.hit(armed)
                wait(armed.fault.seconds_or(_DOWN), is_to_end)
            finally:
                self._cluster.up()

    def move_leaders(self, armed: Armed) -> None:
        """Give every partition another leader, where there are two brokers; it counts when a client was connected."""
        brokers = self._cluster.brokers
        if len(brokers) > 1 and self._clients():
            self._moves += 1
            for topic, partition, leader in self._partitions():
                others = [broker for broker in brokers if broker != leader]
                self._cluster.lead(topic, partition, others[self._moves % len(others)])
            self._armoury.hit(armed)

    def refuse(self, armed: Armed, api_key: int, error: int) -> None:
        """Refuse the next request of a kind; the fault counts when that request has come."""
        self._cluster.refuse_next(api_key, error)
        try:
            with self._cluster.requests(api_key) as count:
                while self._armoury.is_armed(armed):
                    if count():
                        self._armoury.hit(armed)
                        return
                    wait(0, lambda: False)
        finally:
            self._cluster.refuse_no_more(api_key)

    def rebalance(self, armed: Armed) -> None:
        """Join the daemon's group as a second member, and leave it again.

        The fault counts when the member got some of the partitions, but not all: another member had them before.
        """
        group = self._armoury.group()
        member = Consumer(
            {
                "bootstrap.servers": self._cluster.bootstrap,
                "group.id": group.id,
                "partition.assignment.strategy": "roundrobin",
                "enable.auto.commit": False,
                "session.timeout.ms": 6000,
                "log_level": 0,
            }
        )
        try:
            member.subscribe(list(group.topics))
            every = sum(len(self._partitions(topic)) for topic in group.topics)
            while self._armoury.is_armed(armed):
                member.poll(0.1)
                if 0 < len(member.assignment()) < every:
                    with self._armoury.lasting(armed) as is_to_end:
                        self._armoury.hit(armed)
                        wait(armed.fault.seconds_or(_MEMBER), is_to_end)
                    return
        finally:
            member.close()

    def deliver_twice(self, armed: Armed) -> None:
        """Send the next record of the daemon's topics once more, byte for byte."""
        topics = self._armoury.group().topics
        producer = Producer({"bootstrap.servers": self._cluster.bootstrap, "linger.ms": 0, "log_level": 0})
        reader = self._consumer()
        try:
            ends = [
                TopicPartition(
                    topic, partition, reader.get_watermark_offsets(TopicPartition(topic, partition))[1]
                )
                for topic in topics
                for _, partition, _ in self._partitions(topic)
            ]
            reader.assign(ends)
            with self._armoury.lasting(armed) as is_to_end:
                while self._armoury.is_armed(armed) and not is_to_end():
                    record = reader.poll(0.1)
                    if record is not None and record.error() is None and self._is_meant(armed, record):
                        _send_again(producer, record)
                        if producer.flush(_ANSWERED_WITHIN) == 0:
                            self._armoury.hit(armed)
                        return
        finally:
            reader.close()

    @staticmethod
    def _is_meant(armed: Armed, record: Any) -> bool:  # noqa: ANN401 - librdkafka's stubs know less than it gives
        environment = (record.key() or b"").decode(errors="replace")
        return armed.fault.environment in {None, environment}

    def _consumer(self) -> Consumer:
        settings = {"bootstrap.servers": self._cluster.bootstrap, "group.id": "faults", "log_level": 0}
        return Consumer(settings | {"enable.auto.commit": False})

    def _partitions(self, topic: str | None = None) -> list[tuple[str, int, int]]:
        """Each partition as (topic, partition, leader), of all topics or of one topic, which is made if missing."""
        producer = Producer({"bootstrap.servers": self._cluster.bootstrap, "log_level": 0})
        topics = producer.list_topics(topic, timeout=_ANSWERED_WITHIN).topics
        return [
            (topic, number, partition.leader)
            for topic, described in topics.items()
            for number, partition in described.partitions.items()
        ]

    def _clients(self) -> int:
        """How many connections the brokers have."""
        ports = {int(address.rpartition(":")[2]) for address in self._cluster.bootstrap.split(",")}
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(line[3] == _ESTABLISHED and int(line[1].rpartition(":")[2], 16) in ports for line in lines)


def _send_again(producer: Producer, record: Any) -> None:  # noqa: ANN401 - as above
    headers = record.headers() or []
    producer.produce(record.topic(), record.value(), record.key(), record.partition(), headers=headers)
