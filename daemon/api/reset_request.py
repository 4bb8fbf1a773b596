"""Makes a request for a reset out of the body that a call sends."""

from __future__ import annotations

from daemon.api.problems import violation
from schemas.requests import ResetRequested, ResetWanted


def reset_requested(wanted: ResetWanted, subject: str, header: str | None) -> ResetRequested:
    """Complete the body with the token's subject and the idempotency key.

    `header` is the value of `Idempotency-Key`, plain or quoted. It counts where the body has no key.

    Raises:
        ProblemError: `schema-violation`: body and header have different keys.
    """
    key = (header or "").strip('"') or None
    if key and wanted.idempotency_key not in {None, key}:
        detail = "is another one than the header Idempotency-Key"
        raise violation("/idempotencyKey", detail, summary="two idempotency keys")
    values = {name: getattr(wanted, name) for name in ResetWanted.model_fields}
    return ResetRequested(
        **values | {"requested_by": subject, "idempotency_key": wanted.idempotency_key or key}
    )
