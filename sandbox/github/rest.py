"""The REST calls, under the paths of api.github.com."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from sandbox.github.answers import Answers
from sandbox.github.git import NOTHING, ForbiddenError, RefError, RefUpdate
from sandbox.github.hub import Hub, Repository

HUB = web.AppKey("HUB", Hub)

_DOCUMENTATION = "https://docs.github.com/rest"
_MOST_A_PAGE = 100


def problem(status: int, message: str) -> web.Response:
    """Make an error in GitHub's words."""
    body = {"message": message, "documentation_url": _DOCUMENTATION, "status": str(status)}
    return web.json_response(body, status=status)


def refuse(status: int, message: str) -> web.HTTPException:
    """Make an exception that answers with an error in GitHub's words."""
    answer = problem(status, message)
    error: type[web.HTTPException] = {
        403: web.HTTPForbidden,
        404: web.HTTPNotFound,
        409: web.HTTPConflict,
        422: web.HTTPUnprocessableEntity,
    }[status]
    return error(text=answer.text, content_type="application/json")


def answers(request: web.Request) -> Answers:
    """Make answers whose links lead to the address at which this request came in."""
    return Answers(f"{request.scheme}://{request.host}")


def _repository(request: web.Request) -> Repository:
    owner, name = request.match_info["owner"], request.match_info["repo"]
    found = request.app[HUB].find(owner, name)
    if found is not None:
        return found
    moved = request.app[HUB].leads_to(owner, name)
    if moved is None:
        raise refuse(404, "Not Found")
    rest = request.path.removeprefix(f"/repos/{owner}/{name}")
    location = f"{request.scheme}://{request.host}/repositories/{moved.notes.id}{rest}"
    moved_text = problem(301, "Moved Permanently").text
    raise web.HTTPMovedPermanently(location, text=moved_text, content_type="application/json")


def _readable(of: Repository, what: str) -> None:
    """Raise what GitHub answers where the account or the plan may not read it."""
    if what in of.notes.hidden:
        raise refuse(403, "Upgrade to GitHub Pro or make this repository public to enable this feature.")


def _page(request: web.Request, items: Sequence[Any]) -> web.Response:
    """Answer one page of items, with the Link header to the other pages."""
    size = min(int(request.query.get("per_page", "30")), _MOST_A_PAGE)
    number = max(int(request.query.get("page", "1")), 1)
    last = max(-(-len(items) // size), 1)
    targets: dict[str, int] = {}
    if number < last:
        targets |= {"next": number + 1, "last": last}
    if number > 1:
        targets |= {"first": 1, "prev": number - 1}
    url = request.url.with_scheme(request.scheme)
    link = ", ".join(
        f'<{url.update_query(page=str(page), per_page=str(size))}>; rel="{rel}"'
        for rel, page in targets.items()
    )
    return web.json_response(
        list(items[(number - 1) * size : number * size]), headers={"Link": link} if link else {}
    )


async def get_repository(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}."""
    answer = answers(request).repository(_repository(request))
    if _is_installation(request) and "permissions" in answer:
        # GitHub says so to every App, whatever the App may do.
        answer["permissions"] = dict.fromkeys(answer["permissions"], False)
    return web.json_response(answer)


async def list_installation_repositories(request: web.Request) -> web.Response:
    """GET /installation/repositories: what an App's installation may reach; 403 for other tokens."""
    if not _is_installation(request):
        return problem(403, "You must authenticate with an installation access token.")
    found = [answers(request).repository(each) for each in request.app[HUB].repositories.values()]
    return web.json_response({"total_count": len(found), "repositories": found[:1]})


def _is_installation(request: web.Request) -> bool:
    return request.headers.get("Authorization", "").partition(" ")[2].startswith("ghs_")


async def get_repository_by_id(request: web.Request) -> web.Response:
    """GET /repositories/{id}: where a former name leads to."""
    hub = request.app[HUB]
    for found in hub.repositories.values():
        if str(found.notes.id) == request.match_info["id"]:
            return web.json_response(answers(request).repository(found))
    return problem(404, "Not Found")


async def list_branches(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/branches."""
    of = _repository(request)
    _readable(of, "branches")
    heads = {name.removeprefix("refs/heads/"): sha for name, sha in of.git.refs("refs/heads/").items()}
    return _page(request, [answers(request).short_branch(of, name, sha) for name, sha in heads.items()])


async def get_branch(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/branches/{branch}."""
    of, name = _repository(request), request.match_info["branch"]
    sha = of.git.ref(f"refs/heads/{name}")
    if sha is None:
        return problem(404, "Branch not found")
    return web.json_response(answers(request).branch(of, name, sha))


async def get_ref(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/git/ref/{ref}: exactly that ref."""
    of, name = _repository(request), f"refs/{request.match_info['ref']}"
    if not of.git.refs():
        return problem(409, "Git Repository is empty.")
    sha = of.git.ref(name)
    if sha is None:
        return problem(404, "Not Found")
    return web.json_response(answers(request).ref(of, name, sha))


async def matching_refs(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/git/matching-refs/{ref}: all refs that begin so."""
    of = _repository(request)
    refs = of.git.refs(f"refs/{request.match_info['ref']}")
    return _page(request, [answers(request).ref(of, name, sha) for name, sha in refs.items()])


async def create_ref(request: web.Request) -> web.Response:
    """POST /repos/{owner}/{repo}/git/refs."""
    of, body = _repository(request), await _body(request)
    name, sha = str(body.get("ref", "")), str(body.get("sha", ""))
    if not name.startswith("refs/") or name.count("/") < 2:  # noqa: PLR2004 - refs, kind, name
        return problem(422, "Reference name must start with 'refs/' and contain at least two slashes.")
    if of.git.ref(name) is not None:
        return problem(422, "Reference already exists")
    return _updated(request, of, RefUpdate(name, sha, before=NOTHING), status=201)


async def update_ref(request: web.Request) -> web.Response:
    """PATCH /repos/{owner}/{repo}/git/refs/{ref}."""
    of, body = _repository(request), await _body(request)
    name = f"refs/{request.match_info['ref']}"
    if of.git.ref(name) is None:
        return problem(422, "Reference does not exist")
    return _updated(
        request, of, RefUpdate(name, str(body.get("sha", "")), force=bool(body.get("force"))), status=200
    )


async def delete_ref(request: web.Request) -> web.Response:
    """DELETE /repos/{owner}/{repo}/git/refs/{ref}."""
    of = _repository(request)
    try:
        of.update([RefUpdate(f"refs/{request.match_info['ref']}", NOTHING)])
    except RefError as error:
        return problem(_status(error), str(error))
    return web.Response(status=204)


async def list_commits(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/commits?sha=."""
    of = _repository(request)
    if not of.git.refs():
        return problem(409, "Git Repository is empty.")
    start = request.query.get("sha", of.git.default_branch)
    sha = of.git.ref(f"refs/heads/{start}") or start
    try:
        commits = list(of.git.history(sha))
    except KeyError:
        return problem(404, "Not Found")
    return _page(request, [answers(request).commit(of, commit) for commit in commits])


async def get_git_commit(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/git/commits/{sha}."""
    of = _repository(request)
    try:
        commit = of.git.read(request.match_info["sha"])
    except KeyError:
        return problem(404, "Not Found")
    return web.json_response(answers(request).git_commit(of, commit))


async def branch_rules(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/rules/branches/{branch}: its rules, even for a branch that is not made yet."""
    of, branch = _repository(request), request.match_info["branch"]
    _readable(of, "rules")
    return _page(request, of.rules_of(branch))


async def get_ruleset(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/rulesets/{id}."""
    of = _repository(request)
    _readable(of, "rulesets")
    return web.json_response(
        {
            "id": int(request.match_info["id"]),
            "name": "sandbox",
            "source_type": "Repository",
            "source": f"{of.owner}/{of.name}",
            "enforcement": "active",
            "current_user_can_bypass": of.notes.bypass,
        }
    )


async def get_protection(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/branches/{branch}/protection: the classic one, which needs administration rights."""
    of, branch = _repository(request), request.match_info["branch"]
    _readable(of, "protection")
    if branch not in of.notes.classic:
        return problem(404, "Branch not protected")
    forced = {"allow_force_pushes": {"enabled": of.notes.classic[branch]}}
    return web.json_response({**forced, **of.notes.protection})


async def list_pulls(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/pulls?base=&head=OWNER:BRANCH: the open pull requests, the newest first."""
    of, base, head = _repository(request), request.query.get("base"), request.query.get("head")
    _readable(of, "pulls")
    pulls = [
        pull
        for pull in reversed(of.notes.pulls)
        if base in {None, pull.base} and head in {None, f"{of.owner}:{pull.head}"}
    ]
    return _page(request, [answers(request).pull(of, pull) for pull in pulls])


async def list_tags(request: web.Request) -> web.Response:
    """GET /repos/{owner}/{repo}/tags."""
    of = _repository(request)
    _readable(of, "tags")
    tags = {name.removeprefix("refs/tags/"): sha for name, sha in of.git.refs("refs/tags/").items()}
    return _page(request, [answers(request).tag(of, name, sha) for name, sha in tags.items()])


def _updated(request: web.Request, of: Repository, update: RefUpdate, *, status: int) -> web.Response:
    try:
        of.update([update])
    except RefError as error:
        return problem(_status(error), str(error))
    return web.json_response(answers(request).ref(of, update.name, update.after), status=status)


def _status(error: RefError) -> int:
    return 403 if isinstance(error, ForbiddenError) else 422


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except json.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise refuse(422, "Problems parsing JSON")
    return body


ROUTES = (
    web.get("/repos/{owner}/{repo}", get_repository),
    web.get("/repos/{owner}/{repo}/branches", list_branches),
    web.get("/repositories/{id}", get_repository_by_id),
    web.get("/installation/repositories", list_installation_repositories),
    web.get("/repos/{owner}/{repo}/branches/{branch:.+}/protection", get_protection),
    web.get("/repos/{owner}/{repo}/branches/{branch:.+}", get_branch),
    web.get("/repos/{owner}/{repo}/rulesets/{id}", get_ruleset),
    web.get("/repos/{owner}/{repo}/git/ref/{ref:.+}", get_ref),
    web.get("/repos/{owner}/{repo}/git/matching-refs/{ref:.*}", matching_refs),
    web.post("/repos/{owner}/{repo}/git/refs", create_ref),
    web.patch("/repos/{owner}/{repo}/git/refs/{ref:.+}", update_ref),
    web.delete("/repos/{owner}/{repo}/git/refs/{ref:.+}", delete_ref),
    web.get("/repos/{owner}/{repo}/commits", list_commits),
    web.get("/repos/{owner}/{repo}/git/commits/{sha}", get_git_commit),
    web.get("/repos/{owner}/{repo}/rules/branches/{branch:.+}", branch_rules),
    web.get("/repos/{owner}/{repo}/pulls", list_pulls),
    web.get("/repos/{owner}/{repo}/tags", list_tags),
)
