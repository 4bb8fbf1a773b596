"""What goes wrong with a bucket: each fault is one that the bucket's double makes over the real protocol."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.adapters.dumps.s3 import S3Dumps
from daemon.ports.dump_store import Checksum
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from sandbox.s3.bucket import flipped
from sandbox.s3.server import S3
from schemas.reasons import Reason
from tests.contract.dumps.conftest import KEYS, bucket_of, pieces_of
from tests.contract.dumps.test_stores import BIG, NAME, checksum_of


@pytest.fixture
def store(s3: S3, tmp_path: Path) -> S3Dumps:
    """Make a store that tries each call three times."""
    return bucket_of(s3, tmp_path, retries=2)


async def test_s3_answering_500_in_the_middle_is_tried_again(store: S3Dumps, s3: S3) -> None:
    s3.bucket.faults.part_errors = 1
    assert await store.put(NAME, pieces_of(BIG)) == checksum_of(b"".join(BIG))


async def test_s3_that_goes_on_answering_500_in_the_middle_is_temporary_and_leaves_nothing(
    store: S3Dumps, s3: S3
) -> None:
    s3.bucket.faults.part_errors = 100
    with pytest.raises(TemporaryError) as failed:
        await store.put(NAME, pieces_of(BIG))
    assert failed.value.reason is Reason.BACKUP_FAILED
    assert "500" in failed.value.detail
    assert s3.bucket.objects == {}
    assert s3.bucket.uploads == {}


async def test_a_slow_s3_slows_the_dump_down_and_memory_stays_bounded(store: S3Dumps, s3: S3) -> None:
    s3.bucket.faults.part_seconds = 0.1
    taken = 0

    async def quick() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(40):
            taken += 1
            yield bytes(1024 * 1024)

    sending = asyncio.create_task(store.put(NAME, quick()))
    ahead = 0
    async with asyncio.timeout(30):
        while not sending.done():
            arrived = [part for upload in s3.bucket.uploads.values() for part in upload.values()]
            arrived += [stored.content for stored in s3.bucket.objects.values()]
            ahead = max(ahead, taken - sum(map(len, arrived)) // 1024**2)
            await asyncio.sleep(0.01)
    assert (await sending).size_bytes == 40 * 1024**2
    assert ahead <= 25


async def test_s3_slow_for_an_hour_ends_at_the_dumps_own_limit_and_leaves_nothing(
    store: S3Dumps, s3: S3
) -> None:
    s3.bucket.faults.part_seconds = 3600
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await store.put(NAME, pieces_of(BIG))
    assert s3.bucket.objects == {}


async def test_a_read_that_breaks_off_is_taken_up_where_it_was(store: S3Dumps, s3: S3) -> None:
    await store.put(NAME, pieces_of(BIG))
    s3.bucket.faults.cut_reads_at = 3_000_000
    async with store.read(NAME) as reading:
        assert await reading.checksum() == checksum_of(b"".join(BIG))
    assert s3.bucket.requests.count(f"GET of/resetd/{NAME}") > 1


async def test_a_read_that_is_never_answered_whole_is_temporary(s3: S3, tmp_path: Path) -> None:
    store = bucket_of(s3, tmp_path, retries=0)
    await store.put(NAME, pieces_of(BIG))
    s3.bucket.faults.cut_reads_at = 0
    with pytest.raises(TemporaryError) as broken:
        async with store.read(NAME) as reading:
            await reading.checksum()
    assert broken.value.reason is Reason.BACKUP_UNPROVEN


async def test_a_bit_flipped_after_writing_is_seen_when_it_is_read_back(store: S3Dumps, s3: S3) -> None:
    s3.bucket.faults.flips_a_bit = True
    sent = await store.put(NAME, pieces_of(BIG))
    assert sent == checksum_of(b"".join(BIG))
    assert not await store.holds(NAME, sent)
    async with store.read(NAME) as reading:
        assert await reading.checksum() == checksum_of(flipped(b"".join(BIG)))


async def test_an_object_that_the_store_calls_unchanged_is_not_read_again(store: S3Dumps, s3: S3) -> None:
    sent = await store.put(NAME, pieces_of(BIG))
    assert await store.holds(NAME, sent)
    s3.bucket.requests.clear()
    assert await store.holds(NAME, sent)
    assert [request.split()[0] for request in s3.bucket.requests] == ["HEAD"]
    s3.bucket.put(f"of/resetd/{NAME}", b"other" * 10, only_new=False)
    assert not await store.holds(NAME, sent)


async def test_a_document_whose_answer_was_lost_is_published_once(store: S3Dumps, s3: S3) -> None:
    s3.bucket.faults.loses_answers_to_documents = 1
    await store.put_document(f"{NAME}.json", b"manifest")
    assert await store.document(f"{NAME}.json") == b"manifest"


async def test_a_store_that_ignores_the_condition_is_unfit_and_gets_no_dump(store: S3Dumps, s3: S3) -> None:
    s3.bucket.faults.ignores_conditions = True
    for using in (store.check(), store.put(NAME, pieces_of(BIG))):
        with pytest.raises(PermanentError) as unfit:
            await using
        assert unfit.value.reason is Reason.BACKUP_STORE_UNFIT
    assert s3.bucket.objects == {}


async def test_credentials_are_read_again_and_no_error_names_them(s3: S3, tmp_path: Path) -> None:
    store = bucket_of(s3, tmp_path, retries=0)
    right = (tmp_path / "credentials").read_text()
    (tmp_path / "credentials").write_text(right.replace("K3y", "0ld"))
    with pytest.raises(PortError) as refused:
        await store.put_document("a.json", b"1")
    told = f"{refused.value} {refused.value.hint} {refused.value.__cause__}"
    assert "403" in told
    assert "SignatureDoesNotMatch" in told
    for secret in (*KEYS, *KEYS.values(), "0ld"):
        assert secret not in told
    (tmp_path / "credentials").write_text(right)
    rotated = bucket_of(s3, tmp_path, retries=0)
    await rotated.put_document("a.json", b"1")


async def test_a_bucket_that_is_not_there_or_does_not_answer_is_temporary(s3: S3, tmp_path: Path) -> None:
    store = bucket_of(S3("http://127.0.0.1:9", s3.name, s3.bucket), tmp_path, retries=0)
    for call in (store.check(), store.holds(NAME, Checksum(0, hashlib.sha256().hexdigest())), store.list()):
        with pytest.raises(TemporaryError):
            await call
