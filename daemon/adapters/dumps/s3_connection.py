"""How a bucket is reached: its endpoint, and credentials that are read again before they may have changed."""

from __future__ import annotations

import configparser
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential

_READ_AGAIN = timedelta(minutes=1)
_REQUEST = timedelta(minutes=10)
_CONNECT = timedelta(seconds=10)


@dataclass(frozen=True)
class S3Connection:
    """Which bucket, and how.

    Attributes:
        credentials_file: In the format of `~/.aws/credentials`; None: what the environment gives, then the roles that
            AWS gives to a pod or a machine.
    """

    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None
    virtual_hosted: bool = False
    credentials_file: Path | None = None
    profile: str = "default"
    certificates: bytes | None = None
    retries: int = 5
    retry_for: timedelta = timedelta(minutes=5)


def open_bucket(connection: S3Connection) -> S3Store:
    """Return the bucket's client. It connects with its first call."""
    options: ClientConfig = {"timeout": _REQUEST, "connect_timeout": _CONNECT, "allow_http": False}
    config: S3Config = {
        "bucket": connection.bucket,
        "virtual_hosted_style_request": connection.virtual_hosted,
        # Not every store has the call that deletes several.
        "disable_bulk_delete": True,
    }
    if connection.endpoint is not None:
        config["endpoint"] = connection.endpoint
        options["allow_http"] = connection.endpoint.startswith("http://")
    if connection.region is not None:
        config["region"] = connection.region
    if connection.certificates is not None:
        options["root_certificate"] = connection.certificates
    file = connection.credentials_file
    return S3Store(
        config=config,
        prefix=connection.prefix.strip("/") or None,
        client_options=options,
        retry_config={"max_retries": connection.retries, "retry_timeout": connection.retry_for},
        credential_provider=_from_file(file, connection.profile) if file else None,
    )


def _from_file(file: Path, profile: str) -> Callable[[], S3Credential]:
    def read() -> S3Credential:
        parser = configparser.RawConfigParser()
        parser.read_string(file.read_text(encoding="utf-8"))
        section = parser[profile]
        return {
            "access_key_id": section["aws_access_key_id"],
            "secret_access_key": section["aws_secret_access_key"],
            "token": section.get("aws_session_token"),
            "expires_at": datetime.now(UTC) + _READ_AGAIN,
        }

    return read
