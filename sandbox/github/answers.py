"""The objects of GitHub's REST answers, in the shapes of its published OpenAPI description."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from sandbox.github.git import Commit
from sandbox.github.hub import PullRequest, Repository

Json = dict[str, Any]

_USER_LINKS = (
    "events_url:/events{/privacy}",
    "followers_url:/followers",
    "following_url:/following{/other_user}",
    "gists_url:/gists{/gist_id}",
    "organizations_url:/orgs",
    "received_events_url:/received_events",
    "repos_url:/repos",
    "starred_url:/starred{/owner}{/repo}",
    "subscriptions_url:/subscriptions",
)
_REPOSITORY_LINKS = (
    "archive_url:/{archive_format}{/ref}",
    "assignees_url:/assignees{/user}",
    "blobs_url:/git/blobs{/sha}",
    "branches_url:/branches{/branch}",
    "collaborators_url:/collaborators{/collaborator}",
    "comments_url:/comments{/number}",
    "commits_url:/commits{/sha}",
    "compare_url:/compare/{base}...{head}",
    "contents_url:/contents/{+path}",
    "contributors_url:/contributors",
    "deployments_url:/deployments",
    "downloads_url:/downloads",
    "events_url:/events",
    "forks_url:/forks",
    "git_commits_url:/git/commits{/sha}",
    "git_refs_url:/git/refs{/sha}",
    "git_tags_url:/git/tags{/sha}",
    "hooks_url:/hooks",
    "issue_comment_url:/issues/comments{/number}",
    "issue_events_url:/issues/events{/number}",
    "issues_url:/issues{/number}",
    "keys_url:/keys{/key_id}",
    "labels_url:/labels{/name}",
    "languages_url:/languages",
    "merges_url:/merges",
    "milestones_url:/milestones{/number}",
    "notifications_url:/notifications{?since,all,participating}",
    "pulls_url:/pulls{/number}",
    "releases_url:/releases{/id}",
    "stargazers_url:/stargazers",
    "statuses_url:/statuses/{sha}",
    "subscribers_url:/subscribers",
    "subscription_url:/subscription",
    "tags_url:/tags",
    "teams_url:/teams",
    "trees_url:/git/trees{/sha}",
)


def when(moment: datetime) -> str:
    """Write a time as GitHub does."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Answers:
    """The answers of a hub that is reached at `base`, such as `http://127.0.0.1:8081`."""

    def __init__(self, base: str) -> None:
        self._base = base

    def user(self, login: str) -> Json:
        """A simple user; the sandbox's owners are organizations."""
        url = f"{self._base}/users/{login}"
        return {
            "login": login,
            "id": 1,
            "node_id": "O_sandbox1",
            "avatar_url": f"{self._base}/avatars/{login}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self._base}/{login}",
            "type": "Organization",
            "site_admin": False,
            **_links(url, _USER_LINKS),
        }

    def repository(self, of: Repository) -> Json:
        """A full repository."""
        url, html = self._url(of), f"{self._base}/{of.owner}/{of.name}"
        head = of.git.ref(f"refs/heads/{of.git.default_branch}")
        pushed = when(of.git.read(head).at) if head else "2025-01-06T09:00:00Z"
        return {
            "id": of.notes.id,
            "node_id": of.node_id,
            "name": of.name,
            "full_name": f"{of.owner}/{of.name}",
            "owner": self.user(of.owner),
            "private": True,
            "visibility": "private",
            "html_url": html,
            "description": None,
            "fork": False,
            "url": url,
            **_links(url, _REPOSITORY_LINKS),
            "git_url": html,
            "ssh_url": html,
            "clone_url": f"{html}.git",
            "svn_url": html,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            "default_branch": of.git.default_branch,
            **dict.fromkeys(("forks", "forks_count", "stargazers_count", "watchers", "watchers_count"), 0),
            **dict.fromkeys(("network_count", "subscribers_count"), 0),
            **dict.fromkeys(("open_issues", "open_issues_count"), len(of.notes.pulls)),
            "size": 1,
            **dict.fromkeys(("has_issues", "has_projects", "has_wiki", "has_downloads"), True),
            **dict.fromkeys(("has_pages", "has_discussions"), False),
            "archived": of.notes.archived,
            "disabled": of.notes.disabled,
            "pushed_at": pushed,
            "created_at": "2025-01-06T09:00:00Z",
            "updated_at": pushed,
            **_permissions(of),
        }

    def ref(self, of: Repository, name: str, sha: str) -> Json:
        """A git ref."""
        url = self._url(of)
        return {
            "ref": name,
            "node_id": _node("REF", of.node_id, name),
            "url": f"{url}/git/{name}",
            "object": {"type": "commit", "sha": sha, "url": f"{url}/git/commits/{sha}"},
        }

    def short_branch(self, of: Repository, name: str, sha: str) -> Json:
        """A branch as the list of branches shows it."""
        return {
            "name": name,
            "commit": {"sha": sha, "url": f"{self._url(of)}/commits/{sha}"},
            "protected": bool(of.notes.rules.get(name)) or name in of.notes.classic,
        }

    def branch(self, of: Repository, name: str, sha: str) -> Json:
        """A branch with its protection."""
        url = f"{self._url(of)}/branches/{name}"
        return {
            "name": name,
            "commit": self.commit(of, of.git.read(sha)),
            "_links": {"self": url, "html": f"{self._base}/{of.owner}/{of.name}/tree/{name}"},
            "protected": bool(of.notes.rules.get(name)) or name in of.notes.classic,
            "protection": {"enabled": name in of.notes.classic},
            "protection_url": f"{url}/protection",
        }

    def commit(self, of: Repository, commit: Commit) -> Json:
        """A commit as the list of commits shows it."""
        url = f"{self._url(of)}/commits/{commit.sha}"
        plain = self.git_commit(of, commit)
        who = {"name": commit.name, "email": commit.email, "date": when(commit.at)}
        return {
            "url": url,
            "sha": commit.sha,
            "node_id": plain["node_id"],
            "html_url": plain["html_url"],
            "comments_url": f"{url}/comments",
            "commit": {
                "url": plain["url"],
                "author": who,
                "committer": who,
                "message": commit.message,
                "comment_count": 0,
                "tree": plain["tree"],
                "verification": plain["verification"],
            },
            "author": None,
            "committer": None,
            "parents": plain["parents"],
        }

    def git_commit(self, of: Repository, commit: Commit) -> Json:
        """A commit as git stores it."""
        url, html = self._url(of), f"{self._base}/{of.owner}/{of.name}"
        who = {"name": commit.name, "email": commit.email, "date": when(commit.at)}
        return {
            "sha": commit.sha,
            "node_id": _node("C", of.node_id, commit.sha),
            "url": f"{url}/git/commits/{commit.sha}",
            "html_url": f"{html}/commit/{commit.sha}",
            "author": who,
            "committer": who,
            "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
            "message": commit.message,
            "parents": [
                {
                    "sha": parent,
                    "url": f"{url}/commits/{parent}",
                    "html_url": f"{html}/commit/{parent}",
                }
                for parent in commit.parents
            ],
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        }

    def tag(self, of: Repository, name: str, sha: str) -> Json:
        """A tag as the list of tags shows it."""
        url = self._url(of)
        return {
            "name": name,
            "node_id": _node("REF", of.node_id, f"refs/tags/{name}"),
            "commit": {"sha": sha, "url": f"{url}/commits/{sha}"},
            "zipball_url": f"{url}/zipball/refs/tags/{name}",
            "tarball_url": f"{url}/tarball/refs/tags/{name}",
        }

    def pull(self, of: Repository, pull: PullRequest) -> Json:
        """An open pull request as the list of pull requests shows it."""
        url, html = (
            f"{self._url(of)}/pulls/{pull.number}",
            f"{self._base}/{of.owner}/{of.name}/pull/{pull.number}",
        )
        issue = f"{self._url(of)}/issues/{pull.number}"
        whole = self.repository(of)
        sides = {
            side: {
                "label": f"{of.owner}:{branch}",
                "ref": branch,
                "sha": of.git.ref(f"refs/heads/{branch}"),
                "user": whole["owner"],
                "repo": whole,
            }
            for side, branch in (("head", pull.head), ("base", pull.base))
        }
        links = {
            "self": url,
            "html": html,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self._url(of)}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{self._url(of)}/statuses/{sides['head']['sha']}",
        }
        return {
            "url": url,
            "id": pull.number,
            "node_id": _node("PR", of.node_id, str(pull.number)),
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "issue_url": issue,
            **{f"{name}_url": links[name] for name in ("commits", "review_comments", "review_comment")},
            **{f"{name}_url": links[name] for name in ("comments", "statuses")},
            "number": pull.number,
            "state": "open",
            "locked": False,
            "title": pull.title,
            "user": whole["owner"],
            **dict.fromkeys(("body", "milestone", "closed_at", "merged_at", "merge_commit_sha", "assignee")),
            "labels": [],
            "created_at": "2025-01-07T09:00:00Z",
            "updated_at": "2025-01-07T09:00:00Z",
            **sides,
            "_links": {name: {"href": link} for name, link in links.items()},
            "author_association": "MEMBER",
            "auto_merge": None,
        }

    def _url(self, of: Repository) -> str:
        return f"{self._base}/repos/{of.owner}/{of.name}"


def _permissions(of: Repository) -> Json:
    if of.notes.push is None:
        return {}
    others = {"admin": False, "maintain": False, "triage": True, "pull": True}
    return {"permissions": {**others, "push": of.notes.push}}


def _links(url: str, links: tuple[str, ...]) -> Json:
    return {name: url + rest for name, _, rest in (link.partition(":") for link in links)}


def _node(kind: str, *parts: str) -> str:
    """An opaque id, as GraphQL has them."""
    return f"{kind}_{base64.urlsafe_b64encode('/'.join(parts).encode()).decode().rstrip('=')}"
