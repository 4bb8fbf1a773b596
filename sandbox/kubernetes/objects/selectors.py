"""Parses and matches label and field selectors, with the refusals of the real server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.kinds import PODS, Kind

Matches = Callable[[dict[str, Any]], bool]
_KEY = r"(?:[A-Za-z0-9][-A-Za-z0-9.]*/)?[A-Za-z0-9][-A-Za-z0-9_.]*"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SET = re.compile(rf"^({_KEY})\s+(in|notin)\s+\(([^()]*)\)$")
_EQUAL = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*({_VALUE})$")
_EXISTS = re.compile(rf"^(!?)\s*({_KEY})$")
_FIELDS = {"metadata.name", "metadata.namespace"}
_POD_FIELDS = _FIELDS | {
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
}


def labels(selector: str) -> Matches:
    """Parse a label selector into a test of objects; Refusal 400 when it can't be read."""
    terms = [_term(part.strip()) for part in re.split(r",(?![^(]*\))", selector) if part.strip()]

    def matches(candidate: dict[str, Any]) -> bool:
        held = candidate["metadata"].get("labels") or {}
        return all(term(held) for term in terms)

    return matches


def _term(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(text):
        key, word, body = found.groups()
        values = {value.strip() for value in body.split(",")}
        if word == "in":
            return lambda held: held.get(key) in values
        return lambda held: held.get(key) not in values
    if found := _EQUAL.match(text):
        key, sign, value = found.groups()
        if sign == "!=":
            return lambda held: held.get(key) != value
        return lambda held: held.get(key) == value
    if found := _EXISTS.match(text):
        absent, key = found.groups()
        return lambda held: (key in held) is not bool(absent)
    raise statuses.bad_request(f'unable to parse requirement: found "{text}"')


def matches_labels(selector: Mapping[str, Any], held: Mapping[str, str]) -> bool:
    """Whether labels fulfil a LabelSelector object (`matchLabels`, `matchExpressions`)."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if held.get(key) != value:
            return False
    for term in selector.get("matchExpressions") or []:
        value = held.get(term["key"])
        fulfilled = {
            "In": value in (term.get("values") or []),
            "NotIn": value not in (term.get("values") or []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[term["operator"]]
        if not fulfilled:
            return False
    return True


def fields(selector: str, kind: Kind) -> Matches:
    """Parse a field selector into a test of objects; Refusal 400 for a field that the kind has no index for."""
    terms = []
    for part in filter(None, selector.split(",")):
        found = re.match(r"^([^=!]+)(==|=|!=)(.*)$", part)
        if not found:
            raise statuses.bad_request(f"invalid selector: '{selector}'; can't understand '{part}'")
        path, sign, value = found.groups()
        if path not in (_POD_FIELDS if kind is PODS else _FIELDS):
            raise statuses.bad_request(
                f'Unable to find "{kind.api_version}, Resource={kind.plural}" that match label selector "",'
                f' field selector "{selector}": field label not supported: {path}'
            )
        terms.append((path.split("."), sign == "!=", value))

    def matches(candidate: dict[str, Any]) -> bool:
        return all((_value(candidate, path) == value) is not negated for path, negated, value in terms)

    return matches


def _value(candidate: dict[str, Any], path: list[str]) -> str:
    value: object = candidate
    for step in path:
        value = value.get(step, "") if isinstance(value, dict) else ""
    return str(value)
