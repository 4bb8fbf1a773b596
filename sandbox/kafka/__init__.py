"""Kafka for the sandbox: librdkafka's mock cluster in a process of its own, with what goes wrong in it."""

from sandbox.kafka.cluster import TOPICS, Cluster

__all__ = ["TOPICS", "Cluster"]
