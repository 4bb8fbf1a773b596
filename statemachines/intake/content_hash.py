"""What a request says, apart from who says it. Pure."""

from __future__ import annotations

import hashlib
import json

from schemas.requests import ResetRequested


def content_hash(request: ResetRequested) -> str:
    """`sha256:...` over the request without who asked and without its idempotency key.

    Two requests of one content ask for the same reset. The order in which services and options were written says
    nothing (the catalog's order holds), and a default that was written out is the default.
    """
    content = request.model_dump(
        mode="json", by_alias=True, exclude={"requested_by", "idempotency_key"}, exclude_none=True
    )
    for unordered in ("services", "options"):
        if unordered in content:
            content[unordered] = sorted(set(content[unordered]))
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
