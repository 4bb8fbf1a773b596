"""Makes a request for a reset out of the body that a call sends."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from daemon.api.problems import violation
from schemas.requests import Name, ResetRequested, ResetWanted

_KEY: TypeAdapter[str] = TypeAdapter(Name)


def reset_requested(wanted: ResetWanted, subject: str, header: str | None) -> ResetRequested:
    """Complete the body with the token's subject and the idempotency key.

    `header` is the value of `Idempotency-Key`, plain or quoted. It counts where the body has no key.

    Raises:
        ProblemError: `schema-violation`: body and header have different keys, or the header is no key.
    """
    key = _key_of(header)
    if key and wanted.idempotency_key not in {None, key}:
        detail = "is another one than the header Idempotency-Key"
        raise violation("/idempotencyKey", detail, summary="two idempotency keys")
    values = {name: getattr(wanted, name) for name in ResetWanted.model_fields}
    return ResetRequested(
        **values | {"requested_by": subject, "idempotency_key": wanted.idempotency_key or key}
    )


def _key_of(header: str | None) -> str | None:
    """The key that the header `Idempotency-Key` holds; None where there is no header, or an empty one.

    Raises:
        ProblemError: `schema-violation`, with status 400: what the header holds is no key.
    """
    key = (header or "").strip('"')
    if not key:
        return None
    try:
        return _KEY.validate_python(key)
    except ValidationError as error:
        detail = "is 1 to 255 characters without control characters"
        raise violation("Idempotency-Key", detail, summary=f"Idempotency-Key {detail}", status=400) from error
