"""The GraphQL calls that resetd makes: a repository's id, and `updateRefs`, which makes all updates or none.

There is no GraphQL engine. A request is known by the field that it asks for, its arguments come as variables, and the
answer holds the fields that resetd selects. An `errors` list comes with status 200, as from GitHub.
"""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from sandbox.github.git import ForbiddenError, RefError, RefUpdate
from sandbox.github.hub import Hub
from sandbox.github.rest import HUB

_OID = re.compile(r"[0-9a-f]{40}")


def _failed(kind: str, message: str, field: str) -> web.Response:
    error = {"type": kind, "path": [field], "locations": [{"line": 1, "column": 1}], "message": message}
    return web.json_response({"data": {field: None}, "errors": [error]})


def _wrong(message: str) -> web.Response:
    """A question that is wrong: GitHub gives no type then, but `extensions`."""
    error = {"message": message, "locations": [{"line": 1, "column": 1}], "extensions": {"problems": []}}
    return web.json_response({"errors": [error]})


async def graphql(request: web.Request) -> web.Response:
    """Answer POST /graphql."""
    body = await request.json()
    query, variables = str(body.get("query", "")), body.get("variables") or {}
    hub = request.app[HUB]
    if re.search(r"\bupdateRefs\s*\(", query):
        return _update_refs(hub, variables.get("input"))
    if re.search(r"\brepository\s*\(", query):
        return _repository(hub, variables)
    return _wrong("The sandbox knows repository and updateRefs only.")


def _repository(hub: Hub, variables: dict[str, Any]) -> web.Response:
    owner, name = str(variables.get("owner")), str(variables.get("name"))
    found = hub.find(owner, name) or hub.leads_to(owner, name)
    if found is None:
        text = f"Could not resolve to a Repository with the name '{owner}/{name}'."
        return _failed("NOT_FOUND", text, "repository")
    answer = {
        "id": found.node_id,
        "databaseId": found.notes.id,
        "nameWithOwner": f"{found.owner}/{found.name}",
    }
    return web.json_response({"data": {"repository": answer}})


def _update_refs(hub: Hub, wanted: object) -> web.Response:
    field = "updateRefs"
    if not isinstance(wanted, dict) or not isinstance(wanted.get("refUpdates"), list):
        return _wrong("Variable $input of type UpdateRefsInput! is invalid")
    found = hub.by_node_id(str(wanted.get("repositoryId")))
    if found is None:
        text = f"Could not resolve to a node with the global id of '{wanted.get('repositoryId')}'"
        return _failed("NOT_FOUND", text, field)
    try:
        updates = [_update(raw) for raw in wanted["refUpdates"]]
    except (KeyError, ValueError) as error:
        return _wrong(f"Variable $input is invalid: {error}")
    try:
        found.update(updates)
    except RefError as error:
        kind = "FORBIDDEN" if isinstance(error, ForbiddenError) else "UNPROCESSABLE"
        return _failed(kind, str(error), field)
    return web.json_response({"data": {field: {"clientMutationId": wanted.get("clientMutationId")}}})


def _update(raw: dict[str, Any]) -> RefUpdate:
    for oid in (raw["afterOid"], raw.get("beforeOid")):
        if oid is not None and not _OID.fullmatch(str(oid)):
            raise ValueError(f"{oid} is no GitObjectID")
    if not str(raw["name"]).startswith("refs/"):
        raise ValueError("name has to be fully qualified")
    return RefUpdate(raw["name"], raw["afterOid"], before=raw.get("beforeOid"), force=bool(raw.get("force")))
