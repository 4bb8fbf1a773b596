"""Who the daemon is to GitHub: a token or an app's private key, read again from its file for each operation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason

_KEPT = 3
"""Former values that are still left out of texts."""


@dataclass(frozen=True)
class SecretSource:
    """Where a secret comes from: the value that the daemon started with, or a file that others rotate."""

    value: str | None = None
    file: Path | None = None


class Credentials:
    """A secret as it is now. Threads may share it."""

    def __init__(self, source: SecretSource, variable: str) -> None:
        self._source = source
        self._variable = variable
        self._lock = threading.Lock()
        self._values: list[str] = [source.value] if source.value else []

    @property
    def given(self) -> bool:
        """Whether there is such a secret at all."""
        return bool(self._source.value or self._source.file)

    @property
    def values(self) -> tuple[str, ...]:
        """Return the value and the former ones: what must not be in any text."""
        with self._lock:
            return tuple(self._values)

    def read(self) -> str:
        """Return the secret, read from its file where it has one.

        A file that is away or empty for a moment is being rotated: the last value holds until it is there again.

        Raises:
            TemporaryError: `repository-unreachable`: it could not be read, and there is no former value.
        """
        text = self._text()
        with self._lock:
            if text:
                former = [value for value in self._values if value != text]
                self._values = [text, *former][:_KEPT]
            if self._values:
                return self._values[0]
        raise TemporaryError(
            Reason.REPOSITORY_UNREACHABLE,
            f"{self._variable}: there is no secret in {self._source.file}",
            hint="Mount the secret, or correct the path; it is read again.",
        )

    def _text(self) -> str | None:
        if self._source.file is None:
            return self._source.value
        try:
            return self._source.file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            return None


@contextmanager
def readable_key() -> Iterator[None]:
    """Make the port's error of a private key that can't sign.

    Raises:
        TemporaryError: `repository-unreachable`.
    """
    try:
        yield
    except Exception as error:  # whatever the library that signs raises, of the key alone
        raise TemporaryError(
            Reason.REPOSITORY_UNREACHABLE,
            f"the private key of the GitHub App can't be used ({type(error).__name__})",
            hint="Check RESETD_GITHUB_APP_PRIVATE_KEY: it is the PEM file that GitHub gave; it is read again.",
        ) from error
