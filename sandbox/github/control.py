"""The sandbox's own calls of its GitHub: push as a person would, protect a branch, break things. They need no token."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.github.access import CONTROL
from sandbox.github.git import NOTHING, RefUpdate
from sandbox.github.hub import Fault, PullRequest, Repository
from sandbox.github.rest import HUB

_AT = CONTROL + "/repos/{owner}/{repo}"


def _repository(request: web.Request) -> Repository:
    found = request.app[HUB].find(request.match_info["owner"], request.match_info["repo"])
    if found is None:
        raise web.HTTPNotFound
    return found


async def make(request: web.Request) -> web.Response:
    """PUT: make the repository, empty if it is new."""
    made = request.app[HUB].make(request.match_info["owner"], request.match_info["repo"])
    return web.json_response({"id": made.node_id})


async def push(request: web.Request) -> web.Response:
    """POST commits: commit `{branch, message, files}`; answers the commit's sha."""
    body = await request.json()
    sha = _repository(request).push(
        body.get("branch", "main"), body.get("message", "Change"), body.get("files", {})
    )
    return web.json_response({"sha": sha})


async def merge(request: web.Request) -> web.Response:
    """POST merges: merge `{branch, head}` by a commit with two parents, even where they have nothing in common."""
    body, of = await request.json(), _repository(request)
    name = f"refs/heads/{body['branch']}"
    ours, theirs = of.git.ref(name), of.git.ref(f"refs/heads/{body['head']}")
    if ours is None or theirs is None:
        raise web.HTTPNotFound
    at = max(of.git.read(ours).at, of.git.read(theirs).at)
    sha = of.git.commit(of.git.files(ours), parents=[ours, theirs], message="Merge", at=at)
    of.git.update([RefUpdate(name, sha, before=ours)])
    return web.json_response({"sha": sha})


async def put_ref(request: web.Request) -> web.Response:
    """PUT refs/{ref}: set the ref to `{sha}` past all rules; an empty sha deletes it."""
    body, name = await request.json(), f"refs/{request.match_info['ref']}"
    _repository(request).git.update([RefUpdate(name, body["sha"] or NOTHING, force=True)])
    return web.json_response({})


async def refs(request: web.Request) -> web.Response:
    """GET refs: all refs by their full names."""
    return web.json_response(_repository(request).git.refs())


async def protect(request: web.Request) -> web.Response:
    """PUT rules/{branch}: protect a branch by a list such as `[{"type": "non_fast_forward"}]`, or no more by `[]`."""
    of = _repository(request)
    of.notes.rules[request.match_info["branch"]] = [_rule(of, rule) for rule in await request.json()]
    of.keep()
    return web.json_response({})


def _rule(of: Repository, rule: dict[str, Any]) -> dict[str, Any]:
    source = {"ruleset_source_type": "Repository", "ruleset_source": f"{of.owner}/{of.name}", "ruleset_id": 1}
    return {**rule, **source}


async def set_traits(request: web.Request) -> web.Response:
    """PATCH traits: set fields of `hub.Notes`, such as `{"archived": true}`."""
    of = _repository(request)
    for name, value in (await request.json()).items():
        setattr(of.notes, name, value)
    of.keep()
    return web.json_response({})


async def rename(request: web.Request) -> web.Response:
    """POST rename: rename the repository `{to}`; its former name leads there."""
    of = _repository(request)
    request.app[HUB].rename(of.owner, of.name, (await request.json())["to"])
    return web.json_response({})


async def delete(request: web.Request) -> web.Response:
    """DELETE: delete the repository."""
    of = _repository(request)
    request.app[HUB].delete(of.owner, of.name)
    return web.json_response({})


async def open_pull(request: web.Request) -> web.Response:
    """POST pulls: open a pull request `{title, head, base}`."""
    body, of = await request.json(), _repository(request)
    pull = PullRequest(len(of.notes.pulls) + 1, body["title"], body["head"], body.get("base", "main"))
    of.notes.pulls.append(pull)
    of.keep()
    return web.json_response({"number": pull.number})


async def add_fault(request: web.Request) -> web.Response:
    """POST faults: add a fault with the fields of `hub.Fault`."""
    request.app[HUB].faults.append(Fault(**await request.json()))
    return web.json_response({})


async def clear_faults(request: web.Request) -> web.Response:
    """DELETE faults: remove all."""
    request.app[HUB].faults.clear()
    return web.json_response({})


async def requests(request: web.Request) -> web.Response:
    """GET requests: `METHOD PATH` of all calls to the API so far."""
    return web.json_response(request.app[HUB].requests)


async def put_token(request: web.Request) -> web.Response:
    """PUT tokens/{token}: take this token from now on."""
    request.app[HUB].tokens.add(request.match_info["token"])
    return web.json_response({})


async def delete_token(request: web.Request) -> web.Response:
    """DELETE tokens/{token}: refuse this token from now on."""
    request.app[HUB].tokens.discard(request.match_info["token"])
    return web.json_response({})


async def register_app(request: web.Request) -> web.Response:
    """PUT apps/{id}: register a GitHub App with its `{publicKey}` (PEM), and its `{permissions}`."""
    body, number = await request.json(), request.match_info["id"]
    request.app[HUB].app_keys[number] = body["publicKey"]
    request.app[HUB].app_permissions[number] = body.get("permissions", {"contents": "write"})
    return web.json_response({})


ROUTES = (
    web.put(_AT, make),
    web.delete(_AT, delete),
    web.patch(_AT + "/traits", set_traits),
    web.post(_AT + "/rename", rename),
    web.post(_AT + "/commits", push),
    web.post(_AT + "/merges", merge),
    web.get(_AT + "/refs", refs),
    web.put(_AT + "/refs/{ref:.+}", put_ref),
    web.put(_AT + "/rules/{branch:.+}", protect),
    web.post(_AT + "/pulls", open_pull),
    web.post(CONTROL + "/faults", add_fault),
    web.delete(CONTROL + "/faults", clear_faults),
    web.get(CONTROL + "/requests", requests),
    web.put(CONTROL + "/apps/{id}", register_app),
    web.put(CONTROL + "/tokens/{token}", put_token),
    web.delete(CONTROL + "/tokens/{token}", delete_token),
)
