"""The witnesses: topics, PostgreSQL's logs, and repositories' objects. Each is read from where the last look ended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from sandbox import postgres
from sandbox.github.git import GitRepository
from tests.torture.judge.evidence import Session, Told

_WITHIN = 15.0
_SESSION = re.compile(rb"connection authorized: user=\S+ database=(.+) application_name=launch (\d+)")


class Topic:
    """Reads one topic of the sandbox's broker from its beginning on."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"torture-{topic}",
                "enable.auto.commit": False,
                # When its offset is gone, it reads everything again: a witness may see twice, but misses nothing.
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        self._topic = topic
        self._partitions: list[TopicPartition] = []

    def read(self, *, within: float) -> Iterator[Any]:
        """Read the records since the last read; waits at most `within` seconds for the first one.

        Raises:
            KafkaException: the broker refuses.
        """
        if not self._assign():
            return
        # It fetches only during a read, because a fault that hits the next fetch is meant for the daemon.
        self._consumer.resume(self._partitions)
        timeout = within
        while messages := self._consumer.consume(500, timeout=timeout):
            for message in messages:
                if (error := message.error()) is not None and not error.retriable():
                    raise KafkaException(error)
                if error is None:
                    yield message
            timeout = 0.02
        self._consumer.pause(self._partitions)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _assign(self) -> bool:
        """Whether the topic is there, which appears with its first record."""
        if not self._partitions:
            numbers = self._consumer.list_topics(self._topic, timeout=_WITHIN).topics[self._topic].partitions
            self._partitions = [TopicPartition(self._topic, number, 0) for number in numbers]
            self._consumer.assign(self._partitions)
        return bool(self._partitions)


def told(message: Any) -> Told:  # noqa: ANN401 - librdkafka's
    """Decode a record of the status topic."""
    headers = {name: (value or b"").decode() for name, value in message.headers() or ()}
    value = message.value() or b"null"
    return Told(headers["ce_id"], headers["ce_type"], value, json.loads(value))


class Sessions:
    """The sessions that launches opened, by the log of each server, which has `log_connections` on."""

    def __init__(self, servers: Mapping[str, postgres.Server]) -> None:
        self._servers = servers
        self._offsets: dict[str, int] = {}
        self._identifiers: dict[str, str] = {}

    def skip(self) -> None:
        """Skip the sessions that are logged until now."""
        self._offsets = {name: server.log.stat().st_size for name, server in self._servers.items()}

    def read(self) -> tuple[Session, ...]:
        """The sessions since the last `skip`."""
        return tuple(session for name in self._servers for session in self._of(name))

    def key(self, place: str) -> str:
        """The key of a database `server/NAME`, with the server's own identifier."""
        server, _, database = place.partition("/")
        return f"database/{self._identifier(server)}/{database}"

    def _of(self, name: str) -> Iterator[Session]:
        with self._servers[name].log.open("rb") as log:
            log.seek(self._offsets.get(name, 0))
            for line in log:
                if found := _SESSION.search(line):
                    yield Session(int(found[2]), f"database/{self._identifier(name)}/{found[1].decode()}")

    def _identifier(self, name: str) -> str:
        if name not in self._identifiers:
            with psycopg.connect(self._servers[name].superuser_url) as connection:
                row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
            assert row is not None
            self._identifiers[name] = str(row[0])
        return self._identifiers[name]


class Objects:
    """The commits of a repository, read from the disk."""

    def __init__(self, directory: Path) -> None:
        self._git = GitRepository(directory)

    def parent(self, sha: str) -> str | None:
        """A commit's first parent; None for an initial commit."""
        parents = self._git.read(sha).parents
        return parents[0] if parents else None

    def root(self, head: str) -> str:
        """The initial commit of a branch."""
        sha = head
        while (parent := self.parent(sha)) is not None:
            sha = parent
        return sha
