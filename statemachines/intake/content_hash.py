"""The hash of what a request asks for, apart from who asks. Pure.

Its JSON has a spelling of its own (sorted, compact, ASCII), not that of `canonical_json`: the hashes are stored, and
have to stay comparable.
"""

from __future__ import annotations

import hashlib
import json

from schemas.requests import ResetRequested


def content_hash(request: ResetRequested) -> str:
    """Return `sha256:...` over the request without who asked and without its idempotency key.

    Two requests with one hash ask for the same reset. The order in which a request names services and options makes no
    difference, because the catalog's order holds; nor does a default that is written out.
    """
    content = request.model_dump(
        mode="json", by_alias=True, exclude={"requested_by", "idempotency_key"}, exclude_none=True
    )
    for unordered in ("services", "options"):
        if unordered in content:
            content[unordered] = sorted(set(content[unordered]))
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
