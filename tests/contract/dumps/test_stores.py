"""What every store of dumps has to do."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from daemon.adapters.dumps.encrypted import EncryptedDumps
from daemon.ports.dump_store import Checksum, DumpStore
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason
from tests.contract.dumps.conftest import pieces_of

NAME = "qa-sandbox/core/r.backup.core.1.0123abcd.dump"
BIG = [bytes([number % 251]) * 700_001 for number in range(17)]
"""12 MB, in pieces that fit no part."""


def checksum_of(content: bytes) -> Checksum:
    return Checksum(len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("pieces", [[], [b"small"], BIG], ids=["nothing", "small", "big"])
async def test_what_was_put_is_read_back_with_the_size_and_the_hash_that_were_sent(
    store: DumpStore, pieces: list[bytes]
) -> None:
    whole = b"".join(pieces)
    sent = await store.put(NAME, pieces_of(pieces))
    if not isinstance(store, EncryptedDumps):
        assert sent == checksum_of(whole)
    async with store.read(NAME) as reading:
        assert b"".join([piece async for piece in reading]) == whole
        assert await reading.checksum() == sent
    assert await store.holds(NAME, sent)
    assert not await store.holds(NAME, Checksum(sent.size_bytes, "0" * 64))
    assert not await store.holds(NAME, Checksum(sent.size_bytes + 1, sent.sha256))


async def test_the_checksum_is_of_all_even_where_nobody_read_to_the_end(store: DumpStore) -> None:
    sent = await store.put(NAME, pieces_of(BIG))
    async with store.read(NAME) as reading:
        async for _ in reading:
            break
        assert await reading.checksum() == sent


async def test_a_stream_that_breaks_off_leaves_nothing(store: DumpStore) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        for piece in BIG:
            yield piece
        raise PermanentError(Reason.BACKUP_FAILED, "pg_dump broke")

    async with aclosing(breaking()) as pieces:  # type: ignore[type-var]
        with pytest.raises(PermanentError, match="pg_dump broke"):
            await store.put(NAME, pieces)
    assert await store.list() == []
    with pytest.raises(PermanentError) as gone:
        async with store.read(NAME):
            pass
    assert gone.value.reason is Reason.BACKUP_UNPROVEN
    assert not await store.holds(NAME, checksum_of(b""))


async def test_a_document_is_never_replaced_and_the_same_one_may_be_put_again(store: DumpStore) -> None:
    name = f"{NAME}.json"
    assert await store.document(name) is None
    await store.put_document(name, b"first")
    await store.put_document(name, b"first")
    with pytest.raises(PermanentError) as refused:
        await store.put_document(name, b"second")
    assert refused.value.reason is Reason.BACKUP_FAILED
    assert await store.document(name) == b"first"


async def test_a_listing_names_what_is_stored_under_a_folder_with_its_size(store: DumpStore) -> None:
    sent = await store.put(NAME, pieces_of([b"dump"]))
    await store.put_document(f"{NAME}.json", b"manifest")
    await store.put_document("qa-sandbox/other/a.dump.json", b"other")
    told = {(found.name, found.size_bytes) for found in await store.list("qa-sandbox/core")}
    assert told == {(NAME, sent.size_bytes), (f"{NAME}.json", 8)}
    assert len(await store.list()) == 3
    assert await store.list("qa-sandbox/nothing") == []


async def test_what_was_deleted_is_gone_and_may_be_deleted_again(store: DumpStore) -> None:
    sent = await store.put(NAME, pieces_of([b"dump"]))
    assert await store.holds(NAME, sent)
    await store.delete(NAME)
    await store.delete(NAME)
    assert not await store.holds(NAME, sent)
    assert await store.list() == []


async def test_a_fit_store_passes_its_check_and_keeps_nothing_of_it(store: DumpStore) -> None:
    await store.check()
    assert await store.list() == []
