"""Decodes the bodies that clients send."""

from __future__ import annotations

import json

import yaml
from aiohttp import web

from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.objects import Object


def decode(request: web.Request, body: bytes) -> Object:
    """Decode an object in JSON or YAML; Refusal 415 for another media type, 400 for an unreadable body."""
    content_type = request.content_type
    if content_type not in {"application/json", "application/yaml", "application/octet-stream"}:
        raise statuses.Refusal(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml",
        )
    try:
        decoded = yaml.safe_load(body) if content_type == "application/yaml" else json.loads(body)
    except (ValueError, yaml.YAMLError) as error:
        raise statuses.bad_request(f"error decoding body: {error}") from error
    if not isinstance(decoded, dict):
        raise statuses.bad_request("couldn't get version/kind; json parse error")
    return decoded


def delete_options(request: web.Request, body: bytes) -> Object:
    """Read DeleteOptions from the body; the query's values take precedence."""
    options: Object = {}
    if body.strip():
        options = decode(request, body)
    for name in ("gracePeriodSeconds", "propagationPolicy"):
        if name in request.query:
            options[name] = request.query[name]
    if options.get("gracePeriodSeconds") is not None:
        options["gracePeriodSeconds"] = max(0, int(options["gracePeriodSeconds"]))
    return options
