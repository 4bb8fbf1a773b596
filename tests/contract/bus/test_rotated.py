"""A password that others rotate in its file is shown to the brokers without a restart. Nothing is lost meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from daemon.adapters.kafka.connection import Connection
from daemon.adapters.kafka.inbox import KafkaInbox
from daemon.adapters.kafka.outlet import KafkaOutlet
from schemas.records import Message
from tests.contract.bus.stands import KafkaStand, Stored, read


class Front:
    """Stands before a broker's bootstrap address, and counts who connects: a client made anew does."""

    def __init__(self, bootstrap: str) -> None:
        self._broker, _, self._port = bootstrap.rpartition(":")
        self.connections = 0

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        behind, before = await asyncio.open_connection(self._broker, int(self._port))
        with closing(writer), closing(before):
            await asyncio.gather(_copy(reader, before), _copy(behind, writer), return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def fronted(broker: str, password: Path) -> AsyncIterator[tuple[Front, Connection]]:
    front = Front(broker)
    server = await asyncio.start_server(front.lead, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield front, Connection(f"127.0.0.1:{port}", sasl_password_file=password, request_timeout=5)


async def test_a_rotated_password_is_read_again_and_a_file_that_is_away_is_being_rotated(
    tmp_path: Path,
) -> None:
    file = tmp_path / "password"
    file.write_text("former\n")
    connection = Connection(
        "b:1", security_protocol="SASL_PLAINTEXT", sasl_password="former", sasl_password_file=file
    )
    before = connection.shown()
    file.write_text("later\n")
    assert (connection.options()["sasl_plain_password"], connection.shown() == before) == ("later", False)
    for lost in (lambda: file.write_text(""), file.unlink):
        lost()
        assert connection.options()["sasl_plain_password"] == "former"
        assert connection.shown() == before
    assert "former" not in repr(connection)


async def test_an_authority_that_is_replaced_makes_the_clients_anew(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    connection = Connection("b:1", ssl_cafile=str(authority))
    shown = [connection.shown()]
    for text in ("one", "two"):
        replaced = tmp_path / "new"
        replaced.write_text(text)
        replaced.replace(authority)
        shown.append(connection.shown())
    assert len(set(shown)) == 3


async def test_an_inbox_whose_password_was_rotated_connects_anew_and_goes_on_where_it_was(
    mock_broker: str, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("former")
    stand, stored = KafkaStand(mock_broker), Stored()
    async with fronted(mock_broker, password) as (front, connection):
        inbox = KafkaInbox(connection, group_id=stand.group, topics=[stand.topic], session_timeout=2)
        await stand.put(Message(stand.topic, None, b"one", ()), partition=0)
        await inbox.start(stored)
        (one,) = await read(inbox, 1)
        stored.after(one)
        connected = front.connections
        password.write_text("later")
        await stand.put(Message(stand.topic, None, b"two", ()), partition=0)
        (two,) = await read(inbox, 1)
        assert (one.value, two.value) == (b"one", b"two")
        assert front.connections > connected
        connected = front.connections
        assert await inbox.poll(timeout=0.5) == ()
        assert front.connections == connected
        await inbox.stop()


async def test_an_outlet_whose_password_was_rotated_connects_anew(mock_broker: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("former")
    stand = KafkaStand(mock_broker)
    async with fronted(mock_broker, password) as (front, connection):
        outlet = KafkaOutlet(connection)
        await outlet.publish([Message(stand.topic, b"k", b"one", ())])
        connected = front.connections
        await outlet.publish([Message(stand.topic, b"k", b"two", ())])
        assert front.connections == connected
        password.write_text("later")
        await outlet.publish([Message(stand.topic, b"k", b"three", ())])
        assert front.connections > connected
        await outlet.stop()
    inbox = stand.inbox()
    await inbox.start(Stored())
    assert [record.value for record in await read(inbox, 3)] == [b"one", b"two", b"three"]
    await inbox.stop()
