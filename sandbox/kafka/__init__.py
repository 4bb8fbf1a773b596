"""Kafka for the sandbox: librdkafka's mock cluster in a process of its own, with its faults."""

from sandbox.kafka.cluster import TOPICS, Cluster

__all__ = ["TOPICS", "Cluster"]
