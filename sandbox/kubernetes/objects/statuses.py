"""The v1.Status bodies that a real API server gives, and the exception that carries one to the client.

Texts and reasons follow k8s.io/apimachinery/pkg/api/errors; clients branch on `reason` and `code`.
"""

from __future__ import annotations

from typing import Any

Status = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault of ours
    """An answer other than success; `status` is the v1.Status to send with HTTP code `code`."""

    def __init__(self, code: int, reason: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.status = failure(code, reason, message, **details)


def failure(code: int, reason: str, message: str, **details: object) -> Status:
    """A v1.Status of failure; empty details are left out, as the real server does."""
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
    """A v1.Status of success, as a delete answers."""
    body: Status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return body | ({"details": details} if details else {})


def resource(plural: str, group: str) -> str:
    """How messages name a resource: `pods`, `deployments.apps`."""
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
    """409: another wrote in between, or a precondition failed."""
    message = f'Operation cannot be fulfilled on {resource(plural, group)} "{name}": {why}'
    return Refusal(409, "Conflict", message, name=name, group=group, kind=plural)


def forbidden(plural: str, group: str, name: str, why: str, **details: object) -> Refusal:
    """403, with what is forbidden named as the real server does."""
    named = f'{resource(plural, group)} "{name}"' if name else resource(plural, group)
    details = {"name": name, "group": group, "kind": plural, **details}
    return Refusal(403, "Forbidden", f"{named} is forbidden: {why}", **details)


def invalid(kind: str, group: str, name: str, causes: list[tuple[str, str, str]]) -> Refusal:
    """422: `causes` are (reason, message, field), for example (FieldValueRequired, Required value, spec.x)."""
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
    """410: the history that a watch or a continued list wants is gone."""
    return Refusal(410, "Expired", f"too old resource version: {since} ({oldest})")


def internal_error(message: str) -> Status:
    """500 as apierrors.NewInternalError makes it."""
    causes = [{"message": message}]
    return failure(500, "InternalError", f"Internal error occurred: {message}", causes=causes)
