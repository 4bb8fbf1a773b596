"""How GitHub is reached: one client for each operation. A client that threads share mixes up their requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from github import Auth, Github, GithubException, RateLimitExceededException
from github.GithubRetry import GithubRetry
from github.InstallationAuthorization import InstallationAuthorization
from urllib3 import Retry
from urllib3.connectionpool import ConnectionPool

from daemon.adapters.github.credentials import Credentials, SecretSource, readable_key

PAGE_SIZE = 100
_MAX_RETRY_AFTER_SECONDS = 5.0
"""A longer wait is the engine's to plan. It is told by the delay of a TemporaryError."""
_RETRIES = 2
_ACCEPTED = 202
_REDIRECTS = (301, 302, 303, 307, 308)


class RedirectedError(GithubException):
    """GitHub, or what answers in its place, leads elsewhere. Nothing is asked for there."""

    @property
    def location(self) -> str:
        """Return where it leads, as the answer says."""
        headers = {name.lower(): value for name, value in (self.headers or {}).items()}
        return str(headers.get("location", ""))

    @property
    def leads_to_a_repository(self) -> bool:
        """Whether GitHub leads to a repository by its id, as it does for a renamed or transferred one."""
        return re.search(r"/repositories/\d+", self.location) is not None


class _ShortRetry(GithubRetry):
    """PyGithub's retry with a bound on Retry-After; `max_rate_limit_wait` bounds only PyGithub's other waits.

    PyGithub follows a 301 to another repository, and waits for the end of a 202 without any bound. Here both come by
    as statuses to retry, and become errors.
    """

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
            RedirectedError: the answer is a redirect.
            GithubException: GitHub still computes the answer.
        """
        if response is not None and response.status in _REDIRECTS:
            raise RedirectedError(response.status, {"message": "leads elsewhere"}, dict(response.headers))
        if response is not None and response.status == _ACCEPTED:
            raise GithubException(
                503, {"message": "GitHub still computes the answer"}, dict(response.headers)
            )
        wait = self.get_retry_after(response) if response is not None else None
        if wait is not None and wait > _MAX_RETRY_AFTER_SECONDS:
            raise RateLimitExceededException(
                response.status, {"message": f"asked to wait {wait:.0f} s"}, dict(response.headers)
            )
        return super().increment(method, url, response, error, _pool, _stacktrace)


class _Installation(Auth.AppInstallationAuth):
    """An App's installation that keeps what GitHub said of its permissions when it gave the token."""

    permissions: Mapping[str, str] | None = None

    def _get_installation_authorization(self) -> InstallationAuthorization:
        given = super()._get_installation_authorization()
        self.permissions = given.permissions
        return given


def permissions_of_app(auth: Auth.Auth | None) -> Mapping[str, str] | None:
    """Return what the GitHub App may do, as `{"contents": "write"}`; None where that is not told."""
    return (auth.permissions or None) if isinstance(auth, _Installation) else None


@dataclass(frozen=True)
class Connection:
    """Where the API is, and who we are to it: a token, or a GitHub App's installation. Timeouts are in seconds."""

    owner: str
    api_url: str = "https://api.github.com"
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    """Instead of `token`: read for each operation."""
    app_id: int | None = None
    app_private_key: str | None = field(default=None, repr=False)
    app_private_key_file: Path | None = None
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
                total=_RETRIES,
                backoff_factor=0.2,
                max_rate_limit_wait=_MAX_RETRY_AFTER_SECONDS,
                status_forcelist=[_ACCEPTED, *_REDIRECTS, *range(500, 600)],
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
        return (*self._token.values, *self._key.values)

    def rotated(self, before: tuple[str, ...]) -> bool:
        """Read the secrets again, and say whether they are others than `before`, an answer of `in_use`."""
        return self.in_use() != before

    def in_use(self) -> tuple[str, ...]:
        """Return the secrets as they are now.

        Raises:
            TemporaryError: one of them can't be read.
        """
        return tuple(secret.read() for secret in (self._token, self._key) if secret.given)

    @cached_property
    def _token(self) -> Credentials:
        return Credentials(SecretSource(self.token, self.token_file), "RESETD_GITHUB_TOKEN")

    @cached_property
    def _key(self) -> Credentials:
        source = SecretSource(self.app_private_key, self.app_private_key_file)
        return Credentials(source, "RESETD_GITHUB_APP_PRIVATE_KEY")

    def _auth(self) -> Auth.Auth | None:
        if self.app_id is not None and self._key.given and self.app_installation_id is not None:
            app = Auth.AppAuth(self.app_id, self._key.read())
            with readable_key():
                app.create_jwt()
            return _Installation(app, self.app_installation_id)
        return Auth.Token(self._token.read()) if self._token.given else None
