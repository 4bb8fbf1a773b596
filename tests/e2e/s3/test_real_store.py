"""The contract of stores of dumps on an S3-compatible server that runs: RESETD_E2E_S3 is `s3://bucket/prefix`.

AWS_ENDPOINT_URL, AWS_REGION and the credentials are as for the daemon.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest

from daemon.adapters.dumps.s3 import S3Dumps
from daemon.adapters.dumps.s3_connection import S3Connection, open_bucket
from daemon.config.backup_store import backup_store
from daemon.config.settings import Settings
from tests.contract.dumps.test_stores import (
    test_a_document_is_never_replaced_and_the_same_one_may_be_put_again,
    test_a_fit_store_passes_its_check_and_keeps_nothing_of_it,
    test_a_listing_names_what_is_stored_under_a_folder_with_its_size,
    test_a_stream_that_breaks_off_leaves_nothing,
    test_the_checksum_is_of_all_even_where_nobody_read_to_the_end,
    test_what_was_deleted_is_gone_and_may_be_deleted_again,
    test_what_was_put_is_read_back_with_the_size_and_the_hash_that_were_sent,
)

__all__ = [
    "test_a_document_is_never_replaced_and_the_same_one_may_be_put_again",
    "test_a_fit_store_passes_its_check_and_keeps_nothing_of_it",
    "test_a_listing_names_what_is_stored_under_a_folder_with_its_size",
    "test_a_stream_that_breaks_off_leaves_nothing",
    "test_the_checksum_is_of_all_even_where_nobody_read_to_the_end",
    "test_what_was_deleted_is_gone_and_may_be_deleted_again",
    "test_what_was_put_is_read_back_with_the_size_and_the_hash_that_were_sent",
]
pytestmark = pytest.mark.e2e


@pytest.fixture
async def store() -> AsyncIterator[S3Dumps]:
    """Make an empty store in a folder of its own, and empty it again."""
    url = os.environ.get("RESETD_E2E_S3")
    if url is None:
        pytest.skip("no RESETD_E2E_S3")
    where = backup_store(Settings(backup_url=f"{url.rstrip('/')}/{secrets.token_hex(4)}"))
    assert not isinstance(where, Path)
    store = S3Dumps(open_bucket(S3Connection(**asdict(where))))
    yield store
    for stored in await store.list():
        await store.delete(stored.name)
