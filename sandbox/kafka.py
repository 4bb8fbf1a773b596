"""Kafka for the sandbox: librdkafka's mock cluster, the only broker that PyPI alone can bring.

It speaks the real protocol on a port of 127.0.0.1: produce, fetch, consumer groups across processes, offsets,
idempotent producers. It has no admin calls and no real transactions, keeps about 5 MiB for each partition, has no
limit of its own on the size of a message, and forgets everything when it ends. Topics that are not created here
appear, as on a real broker with `auto.create.topics.enable`, when a client asks for them.

Run as `python -m sandbox.kafka`: prints one line of JSON, `{"bootstrap": "127.0.0.1:PORT"}`, and stays until
SIGTERM or SIGINT, with `--while-stdin-open` also no longer than whoever holds its standard input.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
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
    """The librdkafka that the wheel of confluent-kafka carries; the wheel has no Python names for these calls."""
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
    return library


class Cluster:
    """A mock cluster of `brokers` brokers inside this process, with `topics` of `partitions` each.

    `rebalance_delay_ms` is how long a group waits for its first members; a session timeout of a member must not
    be under it.
    """

    def __init__(
        self, topics: Sequence[str], *, partitions: int, brokers: int = 1, rebalance_delay_ms: int = 200
    ) -> None:
        self._library = _library()
        why = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        # The client that carries the cluster connects to nothing, and would say so on stderr.
        self._library.rd_kafka_conf_set(settings, b"log_level", b"3", why, len(why))
        handle = self._library.rd_kafka_new(_PRODUCER, settings, why, len(why))
        if not handle:
            raise RuntimeError(f"librdkafka does not start: {why.value.decode()}")
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
        """`host:port` of each broker, with commas between."""
        answer: bytes = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return answer.decode()

    def close(self) -> None:
        """End the brokers; everything in them is gone."""
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run a cluster until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.kafka", description=__doc__)
    parser.add_argument("--topic", action="append", help="instead of the four topics of resetd")
    parser.add_argument("--partitions", type=int, default=3)
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--rebalance-delay-ms", type=int, default=200)
    parser.add_argument("--while-stdin-open", action="store_true", help="end when standard input closes")
    arguments = parser.parse_args()
    # Blocked before librdkafka starts its threads, so that sigwait below is who gets them.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    cluster = Cluster(
        arguments.topic or TOPICS,
        partitions=arguments.partitions,
        brokers=arguments.brokers,
        rebalance_delay_ms=arguments.rebalance_delay_ms,
    )
    sys.stdout.write(json.dumps({"bootstrap": cluster.bootstrap}) + "\n")
    sys.stdout.flush()
    if arguments.while_stdin_open:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    signal.sigwait(ends)
    cluster.close()


if __name__ == "__main__":
    main()
