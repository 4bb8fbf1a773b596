"""How GitHub is reached: one client for each operation. A client that threads share mixes up their requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from github import Auth, Github, RateLimitExceededException
from github.GithubRetry import GithubRetry
from urllib3 import Retry
from urllib3.connectionpool import ConnectionPool

PAGE_SIZE = 100
_MAX_RETRY_AFTER_SECONDS = 5.0
"""A longer wait is the engine's to plan. It is told by the delay of a TemporaryError."""
_RETRIES = 2


class _ShortRetry(GithubRetry):
    """PyGithub's retry with a bound on Retry-After; `max_rate_limit_wait` bounds only PyGithub's other waits."""

    def increment(  # type: ignore[override]
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,  # noqa: ANN401 - urllib3's, whose types PyGithub narrows
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Retry:
        """Return the next try, for urllib3.

        Raises:
            RateLimitExceededException: GitHub asks to wait longer than a call of ours may take.
        """
        wait = self.get_retry_after(response) if response is not None else None
        if wait is not None and wait > _MAX_RETRY_AFTER_SECONDS:
            raise RateLimitExceededException(
                response.status, {"message": f"asked to wait {wait:.0f} s"}, dict(response.headers)
            )
        return super().increment(method, url, response, error, _pool, _stacktrace)


@dataclass(frozen=True)
class Connection:
    """Where the API is, and who we are to it: a token, or a GitHub App's installation. Timeouts are in seconds."""

    owner: str
    api_url: str = "https://api.github.com"
    token: str | None = field(default=None, repr=False)
    app_id: int | None = None
    app_private_key: str | None = field(default=None, repr=False)
    app_installation_id: int | None = None
    request_timeout: float = 10.0
    operation_timeout: float = 60.0

    @contextmanager
    def client(self) -> Iterator[Github]:
        """Make a client for one operation in one thread."""
        github = Github(
            auth=self._auth(),
            base_url=self.api_url,
            timeout=max(int(self.request_timeout), 1),
            per_page=PAGE_SIZE,
            retry=_ShortRetry(
                total=_RETRIES, backoff_factor=0.2, max_rate_limit_wait=_MAX_RETRY_AFTER_SECONDS
            ),
            seconds_between_requests=None,
            seconds_between_writes=None,
        )
        try:
            yield github
        finally:
            github.close()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return what must not be in any text."""
        return tuple(secret for secret in (self.token, self.app_private_key) if secret)

    def _auth(self) -> Auth.Auth | None:
        if self.app_id is not None and self.app_private_key and self.app_installation_id is not None:
            app = Auth.AppAuth(self.app_id, self.app_private_key)
            return Auth.AppInstallationAuth(app, self.app_installation_id)
        return Auth.Token(self.token) if self.token else None
