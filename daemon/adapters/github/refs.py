"""Refs of a repository: reading one, and GraphQL's `updateRefs`, which compares before it changes, all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from github import Github, GithubException, UnknownObjectException
from github.Repository import Repository

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

NO_COMMIT = "0" * 40
"""As the `beforeOid` of a ref: it must not be there yet. As its `afterOid`: it goes."""
_REPOSITORY_ID = (
    "query($owner: String!, $name: String!) "
    "{ repository(owner: $owner, name: $name) { id databaseId nameWithOwner } }"
)
_UPDATE_REFS = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }"
_FORBIDDEN = 403


def read_ref(repository: Repository, branch: str) -> str | None:
    """Return the commit of a branch; None where there is no such branch."""
    try:
        found = repository.get_git_ref(f"heads/{branch}")
        sha = found.object.sha
    except UnknownObjectException:
        return None
    # An older server answers with another ref that begins so.
    return sha if found.ref == f"refs/heads/{branch}" else None


def graphql_id(github: Github, repository: Repository, full_name: str) -> str:
    """Return GraphQL's id of a repository that was read and agreed to. GraphQL follows a rename, too.

    Raises:
        PermanentError: `repository-mismatch`: the answer is about another repository.
    """
    owner, _, asked = full_name.partition("/")
    answered = _ask(github, _REPOSITORY_ID, {"owner": owner, "name": asked})["repository"]
    read = repository.raw_data
    name = str(answered.get("nameWithOwner", full_name))
    # REST and GraphQL write the ids of old repositories in two forms. The number is the same in both.
    same_id = answered["id"] == read["node_id"] or answered.get("databaseId", "") == read["id"]
    if not same_id or name.lower() != full_name.lower():
        raise PermanentError(
            Reason.REPOSITORY_MISMATCH,
            f"{full_name} is another repository than the one that was read: {name}",
            hint="Somebody renamed it, or made it anew. Look who uses it, then `resetd resume ID --replan`.",
        )
    return str(answered["id"])


def update_refs(github: Github, identity: str, updates: Sequence[Mapping[str, str | bool]]) -> None:
    """Ask for all updates or none, each of which says where its ref has to be.

    Raises:
        GithubException: GitHub refuses it.
        TypeError: the answer is none of GraphQL.
    """
    _ask(github, _UPDATE_REFS, {"input": {"repositoryId": identity, "refUpdates": list(updates)}})


def _ask(github: Github, query: str, variables: dict[str, Any]) -> Mapping[str, Any]:
    """Return the data that GraphQL answers with. GitHub refuses at secondary limits by a message in a 200, too."""
    headers, answer = github.requester.graphql_query(query, variables)
    if isinstance(answer.get("message"), str) and "data" not in answer:
        raise GithubException(_FORBIDDEN, answer, headers)
    data = answer.get("data")
    if not isinstance(data, dict):
        raise TypeError("GraphQL answered without data")
    return data
