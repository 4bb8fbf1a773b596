"""What happens to Kafka's clients: brokers down, leaders elsewhere, a member thrown out, offsets gone, records twice.

The mock has no retention and no clock of a group to turn, so an expired session and expired offsets are the error codes
that a real broker would answer with: the next heartbeat is from an unknown member, the next fetch is out of range.
Whoever asks next gets them, which is the daemon unless somebody else reads at the same moment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from sandbox.faults.armoury import Armed, Armoury
from sandbox.faults.injection import Striker, wait
from sandbox.faults.kinds import FaultKind
from sandbox.kafka.cluster import Cluster

_DOWN = 3.0
_MEMBER = 2.0
_ANSWERED_WITHIN = 10.0
_FETCH, _HEARTBEAT = 1, 12
_OFFSET_OUT_OF_RANGE, _UNKNOWN_MEMBER_ID = 1, 25
_ESTABLISHED = "01"


class KafkaFaults:
    """The faults of one cluster."""

    def __init__(self, armoury: Armoury, cluster: Cluster) -> None:
        self._armoury = armoury
        self._cluster = cluster
        self._moves = 0

    def strikers(self) -> dict[FaultKind, Striker]:
        """What this serves."""
        return {
            FaultKind.KAFKA_DOWN: self.down,
            FaultKind.KAFKA_LEADER_MOVED: self.move_leaders,
            FaultKind.KAFKA_SESSION_EXPIRED: lambda armed: self.refuse(armed, _HEARTBEAT, _UNKNOWN_MEMBER_ID),
            FaultKind.KAFKA_OFFSETS_EXPIRED: lambda armed: self.refuse(armed, _FETCH, _OFFSET_OUT_OF_RANGE),
            FaultKind.KAFKA_REBALANCE: self.rebalance,
            FaultKind.KAFKA_DUPLICATE_DELIVERY: self.deliver_twice,
        }

    def down(self, armed: Armed) -> None:
        """All brokers are away for a while; it counts when a client was connected."""
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
        """Every partition gets another leader; it counts when a client was connected. With one broker there is none."""
        brokers = self._cluster.brokers
        if len(brokers) > 1 and self._clients():
            self._moves += 1
            for topic, partition, leader in self._partitions():
                others = [broker for broker in brokers if broker != leader]
                self._cluster.lead(topic, partition, others[self._moves % len(others)])
            self._armoury.hit(armed)

    def refuse(self, armed: Armed, api_key: int, error: int) -> None:
        """The next request of a kind is refused; it counts when that has come."""
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
        """A second member joins the daemon's group and leaves it again.

        It counts when the member got some of the partitions and not all: so there was another one to take them from.
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
        """What a publisher sends to the daemon's topics is sent once more, byte for byte."""
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
        """(topic, partition, leader) of all that there are, or of one topic, which is made by the question."""
        producer = Producer({"bootstrap.servers": self._cluster.bootstrap, "log_level": 0})
        topics = producer.list_topics(topic, timeout=_ANSWERED_WITHIN).topics
        return [
            (topic, number, partition.leader)
            for topic, described in topics.items()
            for number, partition in described.partitions.items()
        ]

    def _clients(self) -> int:
        """How many connections the brokers have."""
        ports = {int(one.rpartition(":")[2]) for one in self._cluster.bootstrap.split(",")}
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(line[3] == _ESTABLISHED and int(line[1].rpartition(":")[2], 16) in ports for line in lines)


def _send_again(producer: Producer, record: Any) -> None:  # noqa: ANN401 - as above
    headers = record.headers() or []
    producer.produce(record.topic(), record.value(), record.key(), record.partition(), headers=headers)
