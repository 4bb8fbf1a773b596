"""AWS Signature Version 4 of a request, from AWS' description of it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

_FIELDS = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


def is_signed(
    method: str, raw_path: str, query: str, headers: Mapping[str, str], body: bytes, keys: Mapping[str, str]
) -> bool:
    """Tell whether one of the keys (access key -> secret) signed the request, and its body where that was hashed."""
    match = _FIELDS.fullmatch(headers.get("Authorization", ""))
    if match is None or match[1] not in keys:
        return False
    access_key, day, region, names, signature = match.groups()
    hashed = headers.get("x-amz-content-sha256", "")
    if hashed not in {"UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()}:
        return False
    pairs = sorted(
        (quote(key, safe="-_.~"), quote(value, safe="-_.~"))
        for key, value in parse_qsl(query, keep_blank_values=True)
    )
    signed = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names.split(";"))
    canonical = "\n".join(
        (method, raw_path, "&".join(f"{key}={value}" for key, value in pairs), signed, names, hashed)
    )
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(
        (
            "AWS4-HMAC-SHA256",
            headers.get("x-amz-date", ""),
            scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    key = f"AWS4{keys[access_key]}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), signature)
