"""The same contract on every store of dumps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from pyrage import x25519

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.dumps.encrypted import EncryptedDumps
from daemon.adapters.dumps.s3 import S3Dumps
from daemon.adapters.dumps.s3_connection import S3Connection, open_bucket
from daemon.ports.dump_store import DumpStore
from sandbox.s3.server import S3, serving


async def pieces_of(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Return them one after another, as a dump's stream does."""
    for piece in pieces:
        yield piece


PREFIX = "of/resetd/"
KEYS = {"AKIASANDBOX": "s3-s3cret-K3y/with+signs"}


@pytest.fixture
async def s3() -> AsyncIterator[S3]:
    """Serve an empty bucket."""
    async with serving("dumps", KEYS) as s3:
        yield s3


def bucket_of(s3: S3, directory: Path, *, retries: int = 5) -> S3Dumps:
    """Return the store in that bucket; its credentials are in a file in the directory."""
    credentials = directory / "credentials"
    ((key, secret),) = KEYS.items()
    credentials.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    connection = S3Connection(
        s3.name,
        PREFIX,
        endpoint=s3.endpoint,
        region="eu-central-1",
        credentials_file=credentials,
        retries=retries,
    )
    return S3Dumps(open_bucket(connection))


def encrypted(store: DumpStore, directory: Path) -> EncryptedDumps:
    """Return the store with encryption; its keys are in two files in the directory."""
    key = x25519.Identity.generate()
    (directory / "identities").write_text(f"# of a test\n{key}\n")
    (directory / "recipients").write_text(f"{key.to_public()}\n")
    return EncryptedDumps(store, directory / "recipients", directory / "identities")


@pytest.fixture(params=["directory", "s3", "encrypted"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DumpStore:
    """Make an empty store."""
    if request.param == "directory":
        return DirectoryDumps(tmp_path / "store")
    if request.param == "encrypted":
        return encrypted(DirectoryDumps(tmp_path / "store"), tmp_path)
    return bucket_of(request.getfixturevalue("s3"), tmp_path)
