"""Which store the backups go to, from `RESETD_BACKUP_URL` and the variables that AWS' own tools read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from daemon.config.environment_variables import SettingsError
from daemon.config.settings import Settings


@dataclass(frozen=True)
class BucketSettings:
    """A bucket, and how the environment says that it is reached."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    virtual_hosted: bool
    credentials_file: Path | None
    """Read again while the daemon runs; None: variables that hold the credentials, or the roles that AWS gives."""
    profile: str
    certificates: bytes | None


def backup_store(settings: Settings) -> Path | BucketSettings:
    """Return the directory or the bucket.

    Raises:
        SettingsError: the URL or a file that a variable names can't be used. No value is shown.
    """
    parts = urlsplit(settings.backups)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if not parts.hostname or parts.netloc != parts.hostname or parts.query or parts.fragment:
        raise SettingsError(
            ("RESETD_BACKUP_URL: names more than a bucket and a prefix; write it like s3://bucket/prefix",)
        )
    return BucketSettings(
        bucket=parts.hostname,
        prefix=unquote(parts.path).strip("/"),
        endpoint=_first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        region=_first("AWS_REGION", "AWS_DEFAULT_REGION"),
        virtual_hosted=(_first("AWS_VIRTUAL_HOSTED_STYLE_REQUEST") or "").lower() in {"1", "true", "yes"},
        credentials_file=_credentials_file(),
        profile=_first("AWS_PROFILE") or "default",
        certificates=_certificates(),
    )


def store_secrets() -> tuple[str, ...]:
    """Return the secrets of the store that stand in variables, so that they can be masked wherever they turn up."""
    found = (os.environ.get(name) for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))
    return tuple(value for value in found if value)


def _first(*variables: str) -> str | None:
    return next((value for variable in variables if (value := os.environ.get(variable))), None)


def _credentials_file() -> Path | None:
    """The file that AWS' tools read; variables with a key or a role come before it, as there."""
    if _first("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        return None
    named = _first("AWS_SHARED_CREDENTIALS_FILE")
    file = Path(named) if named else Path.home() / ".aws" / "credentials"
    return file if named or file.exists() else None


def _certificates() -> bytes | None:
    named = _first("AWS_CA_BUNDLE")
    if named is None:
        return None
    try:
        return Path(named).read_bytes()
    except OSError as error:
        raise SettingsError((f"AWS_CA_BUNDLE: can't be read: {error.strerror}",)) from error
