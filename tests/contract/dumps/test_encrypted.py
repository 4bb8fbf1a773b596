"""Dumps at rest are encrypted, and nothing is stored that the daemon could not decrypt again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pyrage import x25519

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.dumps.encrypted import EncryptedDumps
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.reasons import Reason
from tests.contract.dumps.conftest import encrypted, pieces_of
from tests.contract.dumps.test_stores import BIG, NAME


@pytest.fixture
def plain(tmp_path: Path) -> DirectoryDumps:
    """Make the store below."""
    return DirectoryDumps(tmp_path / "store")


@pytest.fixture
def store(plain: DirectoryDumps, tmp_path: Path) -> EncryptedDumps:
    """Make the encrypted store."""
    return encrypted(plain, tmp_path)


async def whole(store: EncryptedDumps | DirectoryDumps) -> bytes:
    async with store.read(NAME) as reading:
        return b"".join([piece async for piece in reading])


async def test_what_is_stored_is_encrypted_and_its_checksum_is_of_that(
    store: EncryptedDumps, plain: DirectoryDumps
) -> None:
    sent = await store.put(NAME, pieces_of([b"customer", *BIG]))
    stored = await whole(plain)
    assert stored.startswith(b"age-encryption.org/v1\n")
    assert b"customer" not in stored
    assert sent.size_bytes == len(stored)
    assert await whole(store) == b"customer" + b"".join(BIG)


async def test_a_dump_from_before_there_was_encryption_is_read_as_it_is(
    store: EncryptedDumps, plain: DirectoryDumps
) -> None:
    await plain.put(NAME, pieces_of([b"PG", b"DMP" * 100]))
    assert await whole(store) == b"PG" + b"DMP" * 100


async def test_who_lost_the_identity_is_told_before_anything_is_stored(
    store: EncryptedDumps, tmp_path: Path
) -> None:
    lost = (tmp_path / "identities").read_text()
    for content in (str(x25519.Identity.generate()), "", "# nothing", "AGE-SECRET-KEY-1broken"):
        (tmp_path / "identities").write_text(content)
        for call in (store.check(), store.put(NAME, pieces_of([b"dump"]))):
            with pytest.raises(PermanentError) as told:
                await call
            assert told.value.reason is Reason.BACKUP_FAILED
            assert "RESETD_BACKUP_AGE_IDENTITIES_FILE" in str(told.value.hint)
            assert "SECRET" not in f"{told.value} {told.value.hint}"
    assert await store.list() == []
    (tmp_path / "identities").write_text(lost)
    await store.check()


async def test_a_dump_for_another_identity_or_one_that_was_changed_is_unproven(
    store: EncryptedDumps, tmp_path: Path
) -> None:
    await store.put(NAME, pieces_of(BIG))
    file = tmp_path / "store" / NAME
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 7 // 10])
    with pytest.raises(PermanentError) as cut:
        await whole(store)
    assert cut.value.reason is Reason.BACKUP_UNPROVEN
    file.write_bytes(content)
    key = x25519.Identity.generate()
    (tmp_path / "identities").write_text(str(key))
    (tmp_path / "recipients").write_text(str(key.to_public()))
    with pytest.raises(PermanentError) as other:
        await whole(store)
    assert other.value.reason is Reason.BACKUP_UNPROVEN


async def test_what_the_stream_raises_is_raised_and_leaves_nothing(store: EncryptedDumps) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"dump" * 100_000
        raise TemporaryError(Reason.BACKUP_FAILED, "pg_dump broke")

    with pytest.raises(TemporaryError, match="pg_dump broke"):
        await store.put(NAME, breaking())
    assert await store.list() == []


async def test_who_reads_no_further_leaves_no_thread_behind(store: EncryptedDumps) -> None:
    await store.put(NAME, pieces_of(BIG))
    async with store.read(NAME) as reading:
        async for _ in reading:
            break
        await reading.checksum()
