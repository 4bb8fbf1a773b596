"""The v1.Status bodies of a real API server, and the exception that carries one to the client.

Texts and reasons follow k8s.io/apimachinery/pkg/api/errors; clients branch on `reason` and `code`.
"""

from __future__ import annotations

from typing import Any

Status = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault of ours
    """The server refuses a request; the client gets the v1.Status `status` with HTTP code `code`."""

    def __init__(self, code: int, reason: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.status = failure(code, reason, message, **details)


def failure(code: int, reason: str, message: str, **details: object) -> Status:
    """A v1.Status of failure, without empty details, as the real server leaves them out."""
    body: Status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
    }
    kept = {key: value for key, value in details.items() if value}
    if kept:
        body["details"] = kept
    return body | {"code": code}


def success(**details: object) -> Status:
    """A v1.Status of success, as the answer to a delete."""
    body: Status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return body | ({"details": details} if details else {})


def resource(plural: str, group: str) -> str:
    """The name of a resource in messages: `pods`, `deployments.apps`."""
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> Refusal:
    """404: no object of that name."""
    message = f'{resource(plural, group)} "{name}" not found'
    return Refusal(404, "NotFound", message, name=name, group=group, kind=plural)


def already_exists(plural: str, group: str, name: str) -> Refusal:
    """409: the name is taken."""
    message = f'{resource(plural, group)} "{name}" already exists'
    return Refusal(409, "AlreadyExists", message, name=name, group=group, kind=plural)


def conflict(plural: str, group: str, name: str, why: str) -> Refusal:
    """409: another client wrote in between, or a precondition failed."""
    message = f'Operation cannot be fulfilled on {resource(plural, group)} "{name}": {why}'
    return Refusal(409, "Conflict", message, name=name, group=group, kind=plural)


def forbidden(plural: str, group: str, name: str, why: str, **details: object) -> Refusal:
    """403, worded as by the real server."""
    named = f'{resource(plural, group)} "{name}"' if name else resource(plural, group)
    details = {"name": name, "group": group, "kind": plural, **details}
    return Refusal(403, "Forbidden", f"{named} is forbidden: {why}", **details)


def invalid(kind: str, group: str, name: str, causes: list[tuple[str, str, str]]) -> Refusal:
    """422: `causes` are triples (reason, message, field), such as (FieldValueRequired, Required value, spec.x)."""
    texts = [f"{field}: {message}" for _, message, field in causes]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    full = resource(kind, group)
    return Refusal(
        422,
        "Invalid",
        f'{full} "{name}" is invalid: {joined}',
        name=name,
        group=group,
        kind=kind,
        causes=[{"reason": r, "message": m, "field": f} for r, m, f in causes],
    )


def bad_request(message: str) -> Refusal:
    """400: the request itself makes no sense."""
    return Refusal(400, "BadRequest", message)


def expired(since: int, oldest: int) -> Refusal:
    """410: the history that a watch or a continued list needs is gone."""
    return Refusal(410, "Expired", f"too old resource version: {since} ({oldest})")


def internal_error(message: str) -> Status:
    """A v1.Status of 500, as apierrors.NewInternalError makes it."""
    causes = [{"message": message}]
    return failure(500, "InternalError", f"Internal error occurred: {message}", causes=causes)
