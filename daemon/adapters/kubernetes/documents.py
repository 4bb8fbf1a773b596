"""Reads, lists and patches objects as JSON, in whichever API group they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from kubernetes_asyncio.client import ApiClient, ApiException, CustomObjectsApi

from daemon.adapters.kubernetes.client import MERGE_PATCH, PAGE_SIZE, REQUEST_TIMEOUT_SECONDS
from daemon.adapters.kubernetes.errors import is_conflict, is_missing, translated
from schemas.quiescing import APPLICATION

Document = Mapping[str, Any]
"""An object as the API server's JSON has it."""


APPLICATION_KIND = (APPLICATION, "argoproj.io", "v1alpha1", "applications")
ROLLOUT_KIND = ("Rollout", "argoproj.io", "v1alpha1", "rollouts")
"""Kind, group, version and plural of custom resources."""


class ObjectKind:
    """How the API server names a kind of object."""

    def __init__(self, kind: str, group: str, version: str, plural: str) -> None:
        self.kind = kind
        self.group = group
        self.version = version
        self.plural = plural

    @property
    def resource(self) -> str:
        """The kind as a right names it: `deployments.apps`."""
        return f"{self.plural}.{self.group}"


class Documents:
    """Objects of any kind. Each method raises TemporaryError or PermanentError."""

    def __init__(self, rest: ApiClient) -> None:
        # It builds the path of every group and version, also of those that have classes of their own.
        self._objects = CustomObjectsApi(rest)

    async def get(self, kind: ObjectKind, namespace: str, name: str) -> Document | None:
        """Read one object; None where there is none, or no such kind."""
        with translated(f"read {kind.kind.lower()} {name}", f"get {kind.resource} in {namespace}"):
            try:
                found = await self._objects.get_namespaced_custom_object(
                    kind.group,
                    kind.version,
                    namespace,
                    kind.plural,
                    name,
                    _request_timeout=REQUEST_TIMEOUT_SECONDS,
                )
            except ApiException as error:
                if is_missing(error):
                    return None
                raise
        return cast("Document", found)

    async def patch(
        self,
        kind: ObjectKind,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        version: str,
        dry_run: bool = False,
    ) -> Document | None:
        """Patch an object of this version. None: it has another one by now, or is gone. Return it as it is then."""
        answer = await self._patch(kind, namespace, name, patch, version=version, dry_run=dry_run)
        return None if answer is None else answer[0]

    async def annotate(
        self, kind: ObjectKind, namespace: str, name: str, annotation: str, value: str
    ) -> datetime | None:
        """Write an annotation. Return when, by the API server's clock, in whole seconds; None: there is no object.

        Raises:
            TemporaryError: what answered does not say when.
        """
        body = {"metadata": {"annotations": {annotation: value}}}
        answer = await self._patch(kind, namespace, name, body)
        # A proxy in between may be late, and never early: what was seen before does not pass for seen since.
        return None if answer is None else parsedate_to_datetime(answer[1]["Date"])

    async def _patch(
        self,
        kind: ObjectKind,
        namespace: str,
        name: str,
        patch: Document,
        *,
        version: str | None = None,
        dry_run: bool = False,
    ) -> tuple[Document, Mapping[str, str]] | None:
        """Patch an object. Return it and the answer's headers; None: it is gone, or of another version."""
        compared = {} if version is None else {"resourceVersion": version}
        body = {**patch, "metadata": {**patch.get("metadata", {}), **compared}}
        asked: dict[str, Any] = {"dry_run": "All"} if dry_run else {}
        with translated(f"patch {kind.kind} {namespace}/{name}", f"patch {kind.resource} in {namespace}"):
            try:
                changed, _, headers = await self._objects.patch_namespaced_custom_object_with_http_info(
                    kind.group,
                    kind.version,
                    namespace,
                    kind.plural,
                    name,
                    body,
                    _request_timeout=REQUEST_TIMEOUT_SECONDS,
                    **MERGE_PATCH,
                    **asked,
                )
            except ApiException as error:
                if is_missing(error) or (version is not None and is_conflict(error)):
                    return None
                raise
        return changed, headers

    async def is_served(self, kind: ObjectKind) -> bool:
        """Tell whether the cluster has such a kind. Every account may ask that."""
        with translated(f"look for {kind.resource}", f"get /apis/{kind.group}/{kind.version}"):
            try:
                served = await self._objects.get_api_resources(
                    kind.group, kind.version, _request_timeout=REQUEST_TIMEOUT_SECONDS
                )
            except ApiException as error:
                if is_missing(error):
                    return False
                raise
        return any(each.name == kind.plural for each in served.resources)

    async def list(
        self, kind: ObjectKind, namespace: str | None, *, label_selector: str = ""
    ) -> Sequence[Document]:
        """List objects of one namespace, or of all; none where the cluster has no such kind."""
        found: list[Document] = []
        token = ""
        of = f"of {namespace}" if namespace else "in every namespace"
        where = f"in {namespace}" if namespace else "in every namespace"
        while True:
            wanted: dict[str, Any] = {
                "limit": PAGE_SIZE,
                "_continue": token,
                "_request_timeout": REQUEST_TIMEOUT_SECONDS,
            }
            if label_selector:
                wanted["label_selector"] = label_selector
            with translated(f"list {kind.plural} {of}", f"list {kind.resource} {where}"):
                try:
                    page = await self._page(kind, namespace, wanted)
                except ApiException as error:
                    if is_missing(error):
                        return []
                    raise
            found += page.get("items") or ()
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return found

    async def _page(
        self, kind: ObjectKind, namespace: str | None, wanted: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        of = (kind.group, kind.version)
        if namespace is None:
            page = await self._objects.list_cluster_custom_object(*of, kind.plural, **wanted)
        else:
            page = await self._objects.list_namespaced_custom_object(*of, namespace, kind.plural, **wanted)
        return cast("Mapping[str, Any]", page)
