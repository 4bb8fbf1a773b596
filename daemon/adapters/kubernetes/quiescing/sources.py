"""Where pods have their connection strings from, as far as their template shows it.

What can't be asked, because it has no pod now, is judged by what it shares with what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Source = tuple[str, str]
"""`("Secret", NAME)`, `("Image", REPOSITORY)`, `("Value", TEXT)`."""


def sources_of(template: Mapping[str, Any] | None) -> frozenset[Source]:
    """Return where the containers of a template may have a connection string from.

    That is each Secret that they are given, each value that is a URL of PostgreSQL, and their images: one program asks
    the same place for what its environment does not say. A ConfigMap alone is none: it holds no password.
    """
    return frozenset(_found((template or {}).get("spec") or {}))


def _found(spec: Mapping[str, Any]) -> Iterator[Source]:
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        yield "Image", _repository(str(container.get("image") or ""))
        for variable in container.get("env") or ():
            value = str(variable.get("value") or "")
            if value.startswith(("postgres://", "postgresql://")):
                yield "Value", value
            if reference := (variable.get("valueFrom") or {}).get("secretKeyRef"):
                yield "Secret", str(reference.get("name"))
        for given in container.get("envFrom") or ():
            if reference := given.get("secretRef"):
                yield "Secret", str(reference.get("name"))
    for volume in spec.get("volumes") or ():
        if secret := volume.get("secret"):
            yield "Secret", str(secret.get("secretName"))


def _repository(image: str) -> str:
    """An image without its tag and digest; a registry's port is no tag."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
