"""Label selectors, as objects have them and as the API server's query takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def selector_text(selector: Mapping[str, Any]) -> str:
    """Write a `LabelSelector` as the API server's query takes it.

    Source: Kubernetes reference, Labels and Selectors.
    """
    return ",".join(_terms(selector))


def _terms(selector: Mapping[str, Any]) -> Iterator[str]:
    for label, value in (selector.get("matchLabels") or {}).items():
        yield f"{label}={value}"
    for term in selector.get("matchExpressions") or ():
        key, values = term["key"], ",".join(term.get("values") or ())
        match term["operator"]:
            case "In":
                yield f"{key} in ({values})"
            case "NotIn":
                yield f"{key} notin ({values})"
            case "Exists":
                yield str(key)
            case "DoesNotExist":
                yield f"!{key}"
