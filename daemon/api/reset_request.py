"""A body that asks for a reset, as the request that is stored or planned."""

from __future__ import annotations

from daemon.api.problems import violation
from schemas.requests import ResetRequested, ResetWanted


def reset_requested(wanted: ResetWanted, subject: str, header: str | None) -> ResetRequested:
    """The request with who asks, and the key of the header (plain or quoted) where the body has none."""
    key = (header or "").strip('"') or None
    if key and wanted.idempotency_key not in {None, key}:
        detail = "is another one than the header Idempotency-Key"
        raise violation("/idempotencyKey", detail, summary="two idempotency keys")
    values = {name: getattr(wanted, name) for name in ResetWanted.model_fields}
    return ResetRequested(
        **values | {"requested_by": subject, "idempotency_key": wanted.idempotency_key or key}
    )
