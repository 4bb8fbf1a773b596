"""What errors of the API server mean, in the two families of `daemon.ports.errors`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from kubernetes_asyncio.client import ApiException, OpenApiException

from daemon.ports.errors import PermanentError, PortError, TemporaryError
from schemas.reasons import Reason

_FORBIDDEN = 403
_NOT_KNOWN = frozenset({401, 407})
"""Nobody knows who asks: the API server, or the proxy before it."""
_ANONYMOUS = "system:anonymous"
"""Who asks where no credentials came, which some servers answer with 403."""
_NOT_FOUND = 404
_CONFLICT = 409
_BUSY = frozenset({408, 410, 429})
"""408 and 429 pass; after a 410 a list is begun anew."""
_SERVER_ERRORS = 500


@contextmanager
def translated(what: str, right: str) -> Iterator[None]:
    """Raise the clients' errors, all of them, as those of the ports.

    Only calls of the client stand in such a block: an error of ours would be taken for one of theirs.

    Args:
        what: What was tried, for people: `list pods of qa-sandbox`.
        right: The right that it needs: verb, resource and namespace, as in `list pods in qa-sandbox`.
    """
    try:
        yield
    except ApiException as error:
        raise from_status(
            int(error.status or 0), what, right, message=_message(error), delay=_retry_after(error.headers)
        ) from error
    except aiohttp.WSServerHandshakeError as error:
        raise from_status(error.status, what, right, delay=_retry_after(error.headers)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise unreachable(what, f"{type(error).__name__}: {error}") from error
    except (OpenApiException, ValueError, TypeError, AttributeError, LookupError, RuntimeError) as error:
        # The client reads an answer only as far as it is what it expects: a page of a proxy's is not.
        raise unreachable(
            what,
            f"what answered can't be read ({type(error).__name__})",
            hint="Is it the API server that answers at the configured address, or a proxy or portal before it?",
        ) from error


def from_status(
    status: int, what: str, right: str, *, message: str = "", delay: float | None = None
) -> PortError:
    """Make the error for an HTTP status. A 404 is taken for a pod's: callers that read other things catch it before."""
    because = f"could not {what}: HTTP {status}" + (f", {message}" if message else "")
    if status in _NOT_KNOWN or (status == _FORBIDDEN and _ANONYMOUS in message):
        # It says nothing of what was asked for. Who rotates credentials may be late, so that it may pass.
        return TemporaryError(
            Reason.KUBERNETES_UNREACHABLE,
            f"{because}: the daemon's credentials are refused",
            hint="Renew what the kubeconfig's user refers to, or the pod's service account: it is read again.",
            delay=delay,
        )
    if status == _FORBIDDEN:
        return PermanentError(
            Reason.KUBERNETES_FORBIDDEN,
            f"{because}; missing right: {right}",
            hint=f"Grant `{right}` to the daemon's account.",
        )
    if status == _NOT_FOUND:
        return PermanentError(Reason.POD_NOT_FOUND, because)
    if status in _BUSY or status >= _SERVER_ERRORS or status == 0:
        return TemporaryError(Reason.KUBERNETES_UNREACHABLE, because, delay=delay)
    return PermanentError(Reason.EXEC_REFUSED, because)


def unreachable(what: str, because: str, *, hint: str | None = None) -> TemporaryError:
    """Make the error for an API server that does not answer, or stops in the middle of its answer."""
    return TemporaryError(Reason.KUBERNETES_UNREACHABLE, f"could not {what}: {because}", hint=hint)


def is_missing(error: ApiException) -> bool:
    """Tell whether the API server says that there is no such object."""
    return bool(error.status == _NOT_FOUND)


def is_conflict(error: ApiException) -> bool:
    """Tell whether the API server says that the object is there already, or has another version by now."""
    return bool(error.status == _CONFLICT)


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason or "")


def _retry_after(headers: object) -> float | None:
    value = headers.get("Retry-After") if hasattr(headers, "get") else None
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None  # a date, for which the usual back-off serves
