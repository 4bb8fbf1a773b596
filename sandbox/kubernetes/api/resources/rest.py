"""The verbs on objects: create, get, list, update, patch, delete, and the scale and status subresources."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator

from aiohttp import web

from sandbox.kubernetes.api.requests import bodies, patches
from sandbox.kubernetes.api.requests.queries import flag
from sandbox.kubernetes.api.resources import scales, tables
from sandbox.kubernetes.api.streams import watches
from sandbox.kubernetes.objects import admission, deletion, selectors, statuses
from sandbox.kubernetes.objects.kinds import (
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SCALED_JOBS,
    SCALED_OBJECTS,
    Kind,
    Target,
)
from sandbox.kubernetes.objects.objects import Object, Objects, now
from sandbox.kubernetes.objects.ownership import random_suffix

TYPED = (DEPLOYMENTS, REPLICA_SETS, PODS, NAMESPACES, CRON_JOBS, JOBS, SCALED_OBJECTS, SCALED_JOBS)
"""Kinds whose status is written by their subresource alone."""


class Rest:
    """Answers requests on one target. A write is one atomic act, which begins after the body was read."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    async def answer(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Answer by the request's method; Refusal where the real server refuses."""
        method = request.method
        if method == "GET" and not target.name:
            return await self._list_or_watch(request, target)
        if method == "GET":
            return self._one(request, target, self._read(target))
        body = await request.read()
        if method == "POST" and target.subresource == "eviction":
            return self._evict(target)
        if method == "POST" and not target.name:
            return self._create(request, target, bodies.decode(request, body))
        if method == "PUT" and target.name:
            return self._replace(request, target, bodies.decode(request, body))
        if method == "PATCH" and target.name:
            return self._patch(request, target, body)
        if method == "DELETE" and not target.subresource:
            options = bodies.delete_options(request, body)
            return self._delete(request, target, options)
        raise statuses.Refusal(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )

    def _read(self, target: Target) -> Object:
        found = self.objects.get(target.kind, target.namespace, target.name)
        return scales.scale_of(found) if target.subresource == "scale" else found

    def _one(self, request: web.Request, target: Target, shown: Object, code: int = 200) -> web.Response:
        if tables.wanted(request.headers.get("Accept", "")) and target.subresource != "scale":
            version = {"resourceVersion": shown["metadata"]["resourceVersion"]}
            return web.json_response(tables.table(target.kind, [shown], version), status=code)
        return web.json_response(shown, status=code)

    async def _list_or_watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        query = request.query
        by_label = selectors.labels(query.get("labelSelector", ""))
        by_field = selectors.fields(query.get("fieldSelector", ""), target.kind)

        def matches(candidate: Object) -> bool:
            return by_label(candidate) and by_field(candidate)

        as_table = tables.wanted(request.headers.get("Accept", ""))
        if flag(query, "watch"):

            def shape(changed: Object) -> Object:
                if not as_table or "metadata" not in changed or changed.get("kind") == "Status":
                    return changed
                version = {"resourceVersion": changed["metadata"]["resourceVersion"]}
                return tables.table(target.kind, [changed], version)

            return await watches.serve(request, self.objects, target, matches, shape)
        found = filter(matches, self.objects.every(target.kind, target.namespace))
        page, metadata = self._page(found, query.get("limit", ""), query.get("continue", ""))
        if as_table:
            return web.json_response(tables.table(target.kind, page, metadata))
        return web.json_response(
            {
                "kind": f"{target.kind.kind}List",
                "apiVersion": target.kind.api_version,
                "metadata": metadata,
                "items": page,
            }
        )

    def _page(self, found: Iterator[Object], limit: str, after: str) -> tuple[list[Object], Object]:
        """One page of a list, with its metadata. The token names the last key, so a later page shows a later state."""
        rest = list(found)
        if after:
            try:
                last = tuple(json.loads(base64.urlsafe_b64decode(after)))
            except ValueError as error:
                raise statuses.bad_request("continue key is not valid: " + str(error)) from error
            rest = [candidate for candidate in rest if _key(candidate) > last]
        metadata: Object = {"resourceVersion": str(self.objects.version)}
        size = int(limit) if limit.isdigit() else 0
        if size and len(rest) > size:
            token = json.dumps(_key(rest[size - 1])).encode()
            metadata["continue"] = base64.urlsafe_b64encode(token).decode()
            metadata["remainingItemCount"] = len(rest) - size
            rest = rest[:size]
        return rest, metadata

    def _create(self, request: web.Request, target: Target, new: Object) -> web.Response:
        kind = target.kind
        _check_type(kind, new)
        meta = new.setdefault("metadata", {})
        if kind.namespaced:
            if not target.namespace:
                raise statuses.Refusal(
                    405,
                    "MethodNotAllowed",
                    "the server does not allow this method on the requested resource",
                )
            if meta.setdefault("namespace", target.namespace) != target.namespace:
                raise _other_namespace()
        elif meta.get("namespace"):
            raise _other_namespace()
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + random_suffix()
        if not meta.get("name"):
            causes = [
                ("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
            ]
            raise statuses.invalid(kind.kind, kind.group, "", causes)
        if kind.namespaced:
            self._check_namespace(kind, target.namespace, meta["name"])
        new = admission.prepare(self.objects, kind, new)
        if _dry_run(request):
            return self._one(request, target, new | {"metadata": meta | {"creationTimestamp": now()}}, 201)
        return self._one(request, target, self.objects.create(kind, new), 201)

    def _check_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        if "deletionTimestamp" in self.objects.get(NAMESPACES, "", namespace)["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise statuses.forbidden(kind.plural, kind.group, name, why, causes=[cause])

    def _replace(self, request: web.Request, target: Target, new: Object) -> web.Response:
        meta = new.get("metadata") or {}
        if meta.get("name") != target.name:
            raise statuses.bad_request(
                f"the name of the object ({meta.get('name', '')}) does not match the name on the URL ({target.name})"
            )
        if meta.get("namespace", target.namespace) != target.namespace:
            raise _other_namespace()
        if target.subresource != "scale":
            _check_type(target.kind, new)
        elif not meta.get("resourceVersion"):
            new["metadata"].pop("resourceVersion", None)
        return self._change(request, target, lambda _: new)

    def _patch(self, request: web.Request, target: Target, body: bytes) -> web.Response:
        content_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
        custom = target.kind.custom
        return self._change(
            request, target, lambda before: patches.apply(content_type, body, before, custom=custom)
        )

    def _change(self, request: web.Request, target: Target, make: Callable[[Object], Object]) -> web.Response:
        """Store what `make` returns in place of the object, as far as the subresource reaches."""
        kind = target.kind

        def change(before: Object) -> Object:
            if target.subresource == "scale":
                return scales.rescaled(before, make(scales.scale_of(before)))
            return _changed(target, before, copy.deepcopy(make(before)))

        if _dry_run(request):
            shown = change(copy.deepcopy(self.objects.get(kind, target.namespace, target.name)))
        else:
            shown = self.objects.update(kind, target.namespace, target.name, change)
            meta = shown["metadata"]
            freed = "deletionTimestamp" in meta and not meta.get("finalizers")
            if freed and kind not in {PODS, NAMESPACES}:
                self.objects.remove(kind, target.namespace, target.name)
        shown = scales.scale_of(shown) if target.subresource == "scale" else shown
        return self._one(request, target, shown)

    def _delete(self, request: web.Request, target: Target, options: Object) -> web.Response:
        kind = target.kind
        if target.name:
            stored = self.objects.get(kind, target.namespace, target.name)
            left = stored if _dry_run(request) else deletion.delete(self.objects, kind, stored, options)
            if left is not None or kind is PODS:
                return self._one(request, target, left or stored)
            details = {"name": target.name, "kind": kind.plural, "uid": stored["metadata"]["uid"]}
            return web.json_response(
                statuses.success(**({"group": kind.group} if kind.group else {}), **details)
            )
        if kind is NAMESPACES:
            raise statuses.Refusal(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
            )
        by_label = selectors.labels(request.query.get("labelSelector", ""))
        by_field = selectors.fields(request.query.get("fieldSelector", ""), kind)
        doomed = [
            candidate
            for candidate in self.objects.every(kind, target.namespace)
            if by_label(candidate) and by_field(candidate)
        ]
        if not _dry_run(request):
            for stored in doomed:
                deletion.delete(self.objects, kind, stored, options)
        return web.json_response(
            {
                "kind": f"{kind.kind}List",
                "apiVersion": kind.api_version,
                "metadata": {"resourceVersion": str(self.objects.version)},
                "items": doomed,
            }
        )

    def _evict(self, target: Target) -> web.Response:
        pod = self.objects.get(PODS, target.namespace, target.name)
        deletion.delete(self.objects, PODS, pod)
        return web.json_response(statuses.success(), status=201)


def _key(stored: Object) -> tuple[str, str]:
    return stored["metadata"].get("namespace", ""), stored["metadata"]["name"]


def _dry_run(request: web.Request) -> bool:
    return request.query.get("dryRun") == "All"


def _other_namespace() -> statuses.Refusal:
    return statuses.bad_request(
        "the namespace of the provided object does not match the namespace sent on the request"
    )


def _check_type(kind: Kind, new: Object) -> None:
    given = new.get("apiVersion", kind.api_version), new.get("kind", kind.kind)
    if given != (kind.api_version, kind.kind):
        group, _, version = given[0].rpartition("/")
        raise statuses.bad_request(
            f"{given[1]} in version {version!r} cannot be handled as a {kind.kind}: "
            f"no kind {given[1]!r} is registered for version {group + '/' if group else ''}{version}"
        )


def _changed(target: Target, before: Object, after: Object) -> Object:
    """The object to store: `after`, but what the subresource can't change is as in `before`. Refusal when invalid."""
    kind, meta = target.kind, after.setdefault("metadata", {})
    if meta.get("name", target.name) != target.name:
        raise statuses.bad_request("the name of the object does not match the name on the URL")
    if kind in TYPED and target.subresource == "status":
        version = meta.get("resourceVersion", before["metadata"]["resourceVersion"])
        return before | {
            "status": after.get("status") or {},
            "metadata": before["metadata"] | {"resourceVersion": version},
        }
    if kind in TYPED:
        after.pop("status", None)
        after |= {"status": before["status"]} if "status" in before else {}
    for fixed in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        meta.pop(fixed, None)
        if fixed in before["metadata"]:
            meta[fixed] = before["metadata"][fixed]
    admission.check_update(kind, before, after)
    return after
