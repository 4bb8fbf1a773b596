"""Run as `python -m sandbox.kafka`: prints one line of JSON, `{"bootstrap": "127.0.0.1:PORT"}`, and stays.

Until SIGTERM or SIGINT, with `--while-stdin-open` also no longer than whoever holds its standard input. With `--faults`
it has those of `sandbox.faults` that are Kafka's.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from confluent_kafka import KafkaException

from sandbox.faults.armoury import Armoury
from sandbox.faults.injection import Injection
from sandbox.kafka.cluster import TOPICS, Cluster
from sandbox.kafka.faults import KafkaFaults


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _inject(cluster: Cluster, directory: Path) -> Injection:
    armoury = Armoury(directory)
    injection = Injection(armoury, KafkaFaults(armoury, cluster).injectors(), passing=(KafkaException,))
    injection.start()
    return injection


def main() -> None:
    """Run a cluster until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.kafka", description=__doc__)
    parser.add_argument("--topic", action="append", help="instead of the four topics of resetd")
    parser.add_argument("--partitions", type=int, default=3)
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--rebalance-delay-ms", type=int, default=200)
    parser.add_argument("--while-stdin-open", action="store_true", help="end when standard input closes")
    parser.add_argument("--faults", type=Path, help="directory of the armed faults")
    arguments = parser.parse_args()
    # The signals are blocked before librdkafka starts its threads, so that sigwait below gets them.
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
    injection = _inject(cluster, arguments.faults) if arguments.faults else None
    signal.sigwait(ends)
    if injection is not None:
        injection.stop()
    cluster.close()


if __name__ == "__main__":
    main()
