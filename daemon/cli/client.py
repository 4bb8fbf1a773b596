"""Calls the daemon's HTTP API. Answers are JSON; problems become errors that end the command with an exit code."""

# ruff: noqa: ANN401 - JSON is printed, or single fields are taken out of it; it has no types here

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from daemon.cli.exit_codes import EndError, Exit
from daemon.config.settings import ClientSettings, SettingsError, load_client
from schemas.reasons import Reason

Json = dict[str, Any]
AWAY_LIMIT_SECONDS = 30.0
"""Seconds for which a daemon that was reached may be away, as in a restart or a take-over, before following ends."""
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_WRONG_USE = {
    Reason.SCHEMA_VIOLATION.value,
    Reason.MALFORMED_JSON.value,
    Reason.TOO_LARGE.value,
    Reason.UNKNOWN_RESET.value,
    Reason.UNKNOWN_STEP.value,
    Reason.UNKNOWN_PROTECTED.value,
    Reason.UNKNOWN_SERVICE.value,
    Reason.NOTHING_REMEMBERED.value,
}
_GONE = (httpx.TransportError, httpx.StreamError)


class Client:
    """Makes the calls of one command. `close` ends its connections."""

    def __init__(self, settings: ClientSettings) -> None:
        token = _token(settings)
        self.url = settings.url
        self.patience = 0.0
        """Seconds for which `get` tries again while the daemon is away. Verbs that follow set it once it answered."""
        self._http = httpx.Client(
            base_url=f"{settings.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUT,
            # A proxy that is set for this machine is not meant for a daemon on this machine.
            trust_env=not settings.url.startswith(("http://127.", "http://localhost", "http://[::1]")),
        )

    def get(self, path: str, **params: Any) -> Any:
        """Read an address below `/api/v1`; the answer is JSON. Parameters that are None are not sent."""
        return self._call("GET", path, params=_given(params)).json()

    def post(self, path: str, body: Json | None = None, **headers: str) -> Any:
        """Send `body` without the fields that are None; the answer is JSON."""
        return self._call("POST", path, json=_given(body or {}), headers=headers).json()

    def post_text(self, path: str, body: Json, accept: str) -> str:
        """Send `body` without the fields that are None; the answer is text of the media type `accept`."""
        return self._call("POST", path, json=_given(body), headers={"Accept": accept}, timeout=300).text

    def reset(self, reference: str) -> Json:
        """Read one reset with its steps and attempts."""
        found: Json = self.get(f"/resets/{reference}")
        return found

    def events(self, reference: str, after: int) -> Iterator[Json]:
        """Yield status events with a sequence above `after`, for ever.

        A lost connection is made anew, and goes on behind the last event that came.

        Raises:
            EndError: the daemon refuses the call, or was away for longer than `AWAY_LIMIT_SECONDS`.
        """
        away_since: float | None = None
        while True:
            try:
                headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
                with self._open(f"/resets/{reference}/events", headers=headers) as response:
                    away_since = None
                    for text in _event_data(response):
                        entry: Json = json.loads(text)
                        after = int(entry["sequence"])
                        yield entry
            except _GONE as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > AWAY_LIMIT_SECONDS:
                    raise self._unreachable(error) from error
            time.sleep(0.5)

    def text(self, path: str, **params: Any) -> Iterator[str]:
        """Yield the text of an address line by line as it comes, each with its line break."""
        try:
            with self._open(path, params=_given(params)) as response:
                rest = ""
                for piece in response.iter_text():
                    *lines, rest = (rest + piece).split("\n")
                    yield from (f"{line}\n" for line in lines)
                if rest:
                    yield rest
        except _GONE as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @contextmanager
    def _open(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(60.0, connect=5.0)  # the daemon writes something every 15 seconds
        with self._http.stream("GET", path, timeout=timeout, **options) as response:
            if response.is_error:
                response.read()
                raise self._problem(response)
            yield response

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        ends = time.monotonic() + (self.patience if method == "GET" else 0)
        while True:
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                failure = self._unreachable(error)
            else:
                if not response.is_error:
                    return response
                failure = self._problem(response)
            if failure.code is not Exit.UNREACHABLE or time.monotonic() >= ends:
                raise failure
            time.sleep(0.5)

    def _unreachable(self, error: Exception) -> EndError:
        hint = "Is `resetd serve` running there? RESETD_URL or --url names another address."
        return EndError(Exit.UNREACHABLE, f"{self.url} does not answer ({type(error).__name__})", hint)

    def _problem(self, response: httpx.Response) -> EndError:
        try:
            problem: Json = response.json()
            code = str(problem["code"])
        except (ValueError, KeyError, TypeError):
            return EndError(
                Exit.UNREACHABLE,
                f"{self.url} answered {response.status_code}, no problem of resetd",
                "Does RESETD_URL name a resetd?",
            )
        message = f"{code}: {problem.get('detail') or problem.get('title')}"
        explained = problem.get("title") if problem.get("detail") else None
        hint = problem.get("hint") or explained
        if response.status_code in {502, 503}:
            return EndError(Exit.UNREACHABLE, message, hint)
        return EndError(Exit.USAGE if code in _WRONG_USE else Exit.REFUSED, message, hint)


@dataclass
class _Address:
    url: str | None = None


_address = _Address()


def use_address(url: str | None) -> None:
    """Make `client` connect to this address. None: to the address in the settings."""
    _address.url = url


@contextmanager
def client() -> Iterator[Client]:
    """Connect to the daemon, with the address of `use_address` or of the settings, for as long as the block lasts.

    Raises:
        EndError: the settings can't be used.
    """
    try:
        settings = load_client(**({"url": _address.url} if _address.url else {}))
    except SettingsError as error:
        raise EndError(Exit.USAGE, str(error)) from error
    connected = Client(settings)
    try:
        yield connected
    finally:
        connected.close()


def _token(settings: ClientSettings) -> str | None:
    """The token in the settings, or the one that a daemon on this machine made for its operator."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    try:
        return (settings.data_dir / "operator-token").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _event_data(response: httpx.Response) -> Iterator[str]:
    data: list[str] = []
    for line in response.iter_lines():
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def _given(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}
