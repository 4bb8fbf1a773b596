"""Rules about resources: which databases the commands reached, and where the repositories' branches are."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.journal import Marker
from tests.torture.judge.evidence import Evidence
from tests.torture.judge.finding import Finding


def wrong_database(evidence: Evidence) -> Iterator[Finding]:
    """Find commands that opened a session in a database outside of their reset's plan."""
    launches = {launch.id: launch for launch in evidence.launches}
    for session in evidence.sessions:
        launch = launches.get(session.launch)
        if launch is None or launch.attempt is None:
            continue
        reset = Marker.parse(launch.attempt).reset
        plan = evidence.plans.get(reset)
        if plan is None or session.database not in {resource["key"] for resource in plan["resources"]}:
            yield Finding(
                "wrong-database", f"#{launch.id} {launch.command} ({launch.attempt}): {session.database}"
            )


def repositories(evidence: Evidence) -> Iterator[Finding]:
    """Find repositories that are not as a reset says that it rewound them.

    The branch must be at the initial commit, or where somebody pushed since, and a backup branch under the reset's name
    must be at a former head.
    """
    for identifier, reset in evidence.resets.items():
        for step in reset["steps"]:
            if not step["name"].startswith("git.") or step["state"] != "succeeded":
                continue
            repository = step["name"].removeprefix("git.")
            facts = (step["outcome"] or {}).get("facts", {})
            refs, known = evidence.refs.get(repository), evidence.heads.get(repository, ())
            if refs is None or "resolvedBy" in facts:
                continue
            root = evidence.roots[repository]
            if refs.get("refs/heads/main") not in {root, known[-1] if known else root}:
                yield Finding(
                    "repository", f"{repository} is at {refs.get('refs/heads/main')} after {identifier}"
                )
            kept = refs.get(f"refs/heads/backup/{identifier}")
            if kept is None and not facts.get("already"):
                yield Finding("repository", f"{repository}: no branch backup/{identifier}")
            elif kept is not None and kept not in {*known, root}:
                yield Finding("repository", f"{repository}: backup/{identifier} is at {kept}, never a head")
