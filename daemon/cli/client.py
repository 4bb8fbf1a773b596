"""The daemon's HTTP API as the command line uses it: bodies as JSON, problems as errors with exit codes."""

# ruff: noqa: ANN401 - JSON is printed or picked apart here, not understood

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
PATIENCE = 30.0
"""Seconds for which a daemon that was reached may be away (a restart, a take-over) before following ends."""
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_WRONG_USE = {
    Reason.SCHEMA_VIOLATION.value,
    Reason.MALFORMED_JSON.value,
    Reason.TOO_LARGE.value,
    Reason.UNKNOWN_RESET.value,
    Reason.UNKNOWN_STEP.value,
}
_GONE = (httpx.TransportError, httpx.StreamError)


class Client:
    """Calls of one command; `close` when done."""

    def __init__(self, settings: ClientSettings) -> None:
        token = _token(settings)
        self.url = settings.url
        self.patience = 0.0
        """Seconds for which reading goes on while the daemon is away; set once it was reached."""
        self._http = httpx.Client(
            base_url=f"{settings.url}/api/v1",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=_TIMEOUT,
            # A proxy of the environment is not meant for the daemon on this machine.
            trust_env=not settings.url.startswith(("http://127.", "http://localhost", "http://[::1]")),
        )

    def get(self, path: str, **params: Any) -> Any:
        """JSON of an address below `/api/v1`."""
        return self._call("GET", path, params=_given(params)).json()

    def post(self, path: str, body: Json | None = None, **headers: str) -> Any:
        """JSON of the answer; `body` without what is None."""
        return self._call("POST", path, json=_given(body or {}), headers=headers).json()

    def post_text(self, path: str, body: Json, accept: str) -> str:
        """The answer as text of that media type."""
        return self._call("POST", path, json=_given(body), headers={"Accept": accept}, timeout=300).text

    def reset(self, reference: str) -> Json:
        """One reset."""
        found: Json = self.get(f"/resets/{reference}")
        return found

    def events(self, reference: str, after: int) -> Iterator[Json]:
        """Status events above `after`, for ever; a connection that was lost is made anew and misses nothing."""
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
                if time.monotonic() - away_since > PATIENCE:
                    raise self._unreachable(error) from error
            time.sleep(0.5)

    def text(self, path: str, **params: Any) -> Iterator[str]:
        """Text of an address, in lines with their ends, as it comes."""
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
        """Let the connections go."""
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
    """Talk to the daemon at this address from here on; None: the one of the settings."""
    _address.url = url


@contextmanager
def client() -> Iterator[Client]:
    """A client by the environment's settings; the address that was named wins."""
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
    """The token given, or the one that a daemon on this machine made for its operator."""
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
