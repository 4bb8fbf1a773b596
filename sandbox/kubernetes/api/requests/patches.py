"""The three patch formats: JSON patch (RFC 6902), merge patch (RFC 7386), strategic merge patch.

The strategic merge patch knows the merge keys of the lists in a pod template and in metadata, `$patch: delete|replace`
and `$deleteFromPrimitiveList`; it replaces every other list. Server-side apply is refused with 415.
"""

from __future__ import annotations

import copy
import json
from typing import Any, TypeAlias

from sandbox.kubernetes.objects import statuses

# Any value of a JSON document.
Json: TypeAlias = Any
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "conditions": "type",
    "ownerReferences": "uid",
    "hostAliases": "ip",
}


def apply(content_type: str, body: bytes, before: dict[str, Any], *, custom: bool) -> dict[str, Any]:
    """Return a patched copy of `before`; Refusal 400, 415 or 422 in the words of the real server."""
    accepted = [JSON_PATCH, MERGE_PATCH] + ([] if custom else [STRATEGIC])
    if content_type not in accepted:
        types = ", ".join(accepted)
        raise statuses.Refusal(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: " + types,
        )
    try:
        patch = json.loads(body)
    except ValueError as error:
        raise statuses.bad_request(f"error decoding patch: {error}") from error
    if content_type == JSON_PATCH:
        if not isinstance(patch, list):
            raise statuses.bad_request(
                f"json: cannot unmarshal {_go(patch)} into Go value of type jsonpatch.Patch"
            )
        return _json_patch(copy.deepcopy(before), patch)
    if not isinstance(patch, dict):
        raise statuses.bad_request(
            f"error decoding patch: json: cannot unmarshal {_go(patch)} into Go value of type "
            "map[string]interface {}"
        )
    if content_type == MERGE_PATCH:
        merged: dict[str, Any] = merge(before, patch)
        return merged
    return strategic(before, patch)


def _go(value: Json) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    return names.get(type(value), "null")


def merge(before: Json, patch: Json) -> Json:
    """Apply a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    after = copy.deepcopy(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = merge(after.get(key), value)
    return after


def strategic(before: Json, patch: dict[str, Any]) -> dict[str, Any]:
    """Apply a strategic merge patch: as `merge`, but a list that has a merge key is merged by it."""
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    after: dict[str, Any] = copy.deepcopy(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            after[field] = [item for item in after.get(field) or [] if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            after.pop(key, None)
        elif isinstance(value, dict):
            after[key] = strategic(after.get(key), value)
        elif isinstance(value, list) and key in _KEYS:
            after[key] = _merge_list(after.get(key) or [], value, _KEYS[key])
        elif isinstance(value, list) and key == "finalizers":
            held = after.get(key) or []
            after[key] = held + [item for item in value if item not in held]
        else:
            after[key] = copy.deepcopy(value)
    return after


def _merge_list(before: list[Any], patch: list[Any], key: str) -> list[Any]:
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    after = list(before)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise statuses.bad_request(f"map: {item} does not contain declared merge key: {key}")
        place = next((i for i, old in enumerate(after) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            after = [old for old in after if old.get(key) != item[key]]
        elif place is None:
            after.append(strategic({}, item))
        else:
            after[place] = strategic(after[place], item)
    return after


class _UnfitError(Exception):
    """A JSON patch that does not fit the document."""


def _json_patch(document: Json, operations: list[Any]) -> dict[str, Any]:
    try:
        for operation in operations:
            document = _operate(document, operation)
    except (_UnfitError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise statuses.Refusal(
            422, "Invalid", "the server rejected our request due to an error in our request"
        ) from error
    if not isinstance(document, dict):
        raise statuses.bad_request("the patched document is not an object")
    return document


def _operate(document: Json, operation: dict[str, Any]) -> Json:
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "remove":
            return _remove(document, path)
        case "replace":
            _read(document, path)
            return _add(_remove(document, path), path, copy.deepcopy(operation["value"]))
        case "move":
            origin = _pointer(operation["from"])
            moved = _read(document, origin)
            return _add(_remove(document, origin), path, moved)
        case "copy":
            return _add(document, path, copy.deepcopy(_read(document, _pointer(operation["from"]))))
        case "test":
            if _read(document, path) != operation.get("value"):
                raise _UnfitError("test failed")
            return document
        case other:
            raise _UnfitError(f"unexpected kind: {other}")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise _UnfitError(f"no JSON pointer: {text}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _read(document: Json, path: list[str]) -> Json:
    for step in path:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def _add(document: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    parent = _read(document, path[:-1])
    if isinstance(parent, list):
        place = len(parent) if path[-1] == "-" else int(path[-1])
        if not 0 <= place <= len(parent):
            raise _UnfitError("index out of bounds")
        parent.insert(place, value)
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Json, path: list[str]) -> Json:
    if not path:
        return None
    parent = _read(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
    return document
