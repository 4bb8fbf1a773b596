"""librdkafka's mock cluster: the only broker that can be installed from PyPI alone.

It speaks the real protocol on a port of 127.0.0.1: produce, fetch, consumer groups across processes, offsets,
idempotent producers. It has neither admin calls nor real transactions, keeps about 5 MiB for each partition, does not
limit the size of a message, and forgets everything when it ends. A topic that was not created appears when a client
asks for it, as on a real broker with `auto.create.topics.enable`.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka

TOPICS = (
    "fuse.environment-resets.requests.v1",
    "fuse.environments.v1",
    "fuse.environment-resets.status.v1",
    "fuse.environment-resets.dead-letters.v1",
)

_PRODUCER = 0  # rd_kafka_type_t


def _library() -> ctypes.CDLL:
    """Load the librdkafka in the wheel of confluent-kafka, which has no Python names for these calls."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*"))))
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_conf_set.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_topic_create.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_int,
    ]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.restype = None
    library.rd_kafka_mock_cluster_destroy.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_cluster_destroy.restype = None
    for change in (library.rd_kafka_mock_broker_set_down, library.rd_kafka_mock_broker_set_up):
        change.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.rd_kafka_mock_partition_set_leader.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_int32,
    ]
    library.rd_kafka_mock_push_request_errors_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int16,
        ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_int),
    ]
    library.rd_kafka_mock_push_request_errors_array.restype = None
    library.rd_kafka_mock_clear_request_errors.argtypes = [ctypes.c_void_p, ctypes.c_int16]
    library.rd_kafka_mock_clear_request_errors.restype = None
    for tracking in (
        library.rd_kafka_mock_start_request_tracking,
        library.rd_kafka_mock_stop_request_tracking,
    ):
        tracking.argtypes = [ctypes.c_void_p]
        tracking.restype = None
    library.rd_kafka_mock_get_requests.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)]
    library.rd_kafka_mock_get_requests.restype = ctypes.POINTER(ctypes.c_void_p)
    library.rd_kafka_mock_request_api_key.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_request_api_key.restype = ctypes.c_int16
    library.rd_kafka_mock_request_destroy_array.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t]
    library.rd_kafka_mock_request_destroy_array.restype = None
    return library


class Cluster:
    """A mock cluster of `brokers` brokers inside this process, with `topics` of `partitions` each.

    `rebalance_delay_ms` is how long a group waits for its first members; the session timeout of a member must be at
    least as long.
    """

    def __init__(
        self, topics: Sequence[str], *, partitions: int, brokers: int = 1, rebalance_delay_ms: int = 200
    ) -> None:
        self._library = _library()
        why = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        # The client that carries the cluster connects to no broker; at a higher level it complains on stderr.
        self._library.rd_kafka_conf_set(settings, b"log_level", b"3", why, len(why))
        handle = self._library.rd_kafka_new(_PRODUCER, settings, why, len(why))
        if not handle:
            raise RuntimeError(f"librdkafka does not start: {why.value.decode()}")
        self._tracking = threading.Lock()
        self._trackers = 0
        self.brokers = range(1, brokers + 1)
        """The ids of the brokers."""
        self._cluster = self._library.rd_kafka_mock_cluster_new(handle, brokers)
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, rebalance_delay_ms)
        for topic in topics:
            refused = self._library.rd_kafka_mock_topic_create(
                self._cluster, topic.encode(), partitions, brokers
            )
            if refused:
                raise RuntimeError(f"topic {topic} could not be created: error {refused}")

    @property
    def bootstrap(self) -> str:
        """The brokers' addresses, `host:port` each, separated by commas."""
        answer: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return answer.decode()

    def down(self) -> None:
        """Take all brokers down: they drop their clients and accept no new ones until `up`."""
        for broker in self.brokers:
            self._library.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self) -> None:
        """Bring the brokers back with all that they held."""
        for broker in self.brokers:
            self._library.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Make a broker the leader of a partition; the former leader refuses requests about it."""
        self._library.rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, broker)

    def refuse_next(self, api_key: int, error: int) -> None:
        """Answer the next request of a kind with an error code of Kafka's protocol."""
        errors = (ctypes.c_int * 1)(error)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, api_key, 1, errors)

    def refuse_no_more(self, api_key: int) -> None:
        """Take back what `refuse_next` ordered and no request has met."""
        self._library.rd_kafka_mock_clear_request_errors(self._cluster, api_key)

    @contextmanager
    def requests(self, api_key: int) -> Iterator[Callable[[], int]]:
        """Yield a function that counts the requests of a kind since the beginning of the block. Blocks may overlap."""
        with self._tracking:
            if not self._trackers:
                self._library.rd_kafka_mock_start_request_tracking(self._cluster)
            self._trackers += 1
            before = self._count(api_key)
        try:
            yield lambda: self._count(api_key) - before
        finally:
            with self._tracking:
                self._trackers -= 1
                if not self._trackers:
                    self._library.rd_kafka_mock_stop_request_tracking(self._cluster)

    def _count(self, api_key: int) -> int:
        number = ctypes.c_size_t()
        array = self._library.rd_kafka_mock_get_requests(self._cluster, ctypes.byref(number))
        found = [self._library.rd_kafka_mock_request_api_key(array[index]) for index in range(number.value)]
        self._library.rd_kafka_mock_request_destroy_array(array, number)
        return found.count(api_key)

    def close(self) -> None:
        """End the brokers; what they held is lost."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
