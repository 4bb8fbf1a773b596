"""The store that `RESETD_BACKUP_URL` and AWS' variables name is the one that is opened."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from daemon.adapters.dumps.directory import DirectoryDumps
from daemon.adapters.dumps.opening import AgeKeys, open_bucket_marks, open_dumps
from daemon.adapters.dumps.s3_connection import S3Connection
from daemon.config.backup_store import backup_store
from daemon.config.settings import SettingsError, load
from sandbox.s3.server import S3
from tests.contract.dumps.conftest import KEYS, encrypted


def connection(url: str) -> S3Connection:
    where = backup_store(load(backup_url=url))
    assert not isinstance(where, Path)
    return S3Connection(**asdict(where))


@pytest.mark.parametrize("by_file", [False, True])
async def test_a_bucket_is_reached_by_what_aws_own_tools_read(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_file: bool
) -> None:
    ((key, secret),) = KEYS.items()
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    if by_file:
        file = tmp_path / "credentials"
        file.write_text(f"[other]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        monkeypatch.setenv("AWS_PROFILE", "other")
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    encrypted(DirectoryDumps(tmp_path / "unused"), tmp_path)
    keys = AgeKeys(tmp_path / "recipients", tmp_path / "identities")
    where = connection(f"s3://{s3.name}/deep/down/")
    await open_dumps(where, keys).check()
    await open_dumps(where).put_document("a.dump.json", b"{}")
    assert list(s3.bucket.objects) == ["deep/down/a.dump.json"]
    assert await open_bucket_marks(where).states() == frozenset()


@pytest.mark.parametrize("url", ["s3://key:s3cret@bucket/prefix", "s3:///prefix", "s3://bucket/a?x=s3cret"])
def test_a_url_that_holds_more_than_bucket_and_prefix_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        backup_store(load(backup_url=url))
    assert "RESETD_BACKUP_URL" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_one_of_the_key_files_without_the_other_is_refused() -> None:
    with pytest.raises(SettingsError, match="RESETD_BACKUP_AGE_IDENTITIES_FILE"):
        load(backup_age_recipients_file=Path("/run/recipients"))
