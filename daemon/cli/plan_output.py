"""Prints a plan for people."""

from __future__ import annotations

from daemon.cli.client import Json
from daemon.cli.output import note, say, table


def show_plan(plan: Json) -> None:
    """Print a plan: its steps in order, what they touch, who shares that, and its warnings."""
    say(f"{plan['mode']} of {plan['environment']}: {len(plan['steps'])} steps, catalog {plan['catalog']}")
    say(f"plan {plan['hash']}")
    say("")
    table(
        ["#", "STEP", "WHAT"],
        [[at, step["name"], _what(step)] for at, step in enumerate(plan["steps"], 1)],
    )
    say("")
    table(
        ["TOUCHES", "NAME", "USED BY", "PROTECTED"],
        [
            [
                resource["kind"],
                resource["name"],
                ", ".join(
                    list(dict.fromkeys([*resource["users"], *resource["elsewhere"], *resource["marked"]]))
                ),
                resource["protectedBecause"] or resource["protected"] or "",
            ]
            for resource in plan["resources"]
        ],
    )
    if plan.get("repositories"):
        say("")
        table(
            [
                "REPOSITORY",
                "BRANCH",
                "HEAD",
                "GOES BACK TO",
                "ORPHANED PULL REQUESTS",
                "OTHER BRANCHES",
                "TAGS",
            ],
            [_repository(repository) for repository in plan["repositories"]],
        )
    if plan["assurances"]:
        say("")
        table(
            ["ON THE WORD OF", "ABOUT", "SAYS", "UNTIL", "REASON"],
            [
                [
                    word["givenBy"],
                    scope_text(word["scope"]),
                    what_it_says(word),
                    word["expiresAt"],
                    word["reason"],
                ]
                for word in plan["assurances"]
            ],
        )
    if plan["approvalsRequired"]:
        where = " and ".join(plan.get("approversIn") or ()) or plan["environment"]
        say(
            f"\nneeds {plan['approvalsRequired']} approval(s), by others than who asks: each an approver in {where}"
        )
    for warning in plan["warnings"]:
        note(f"warning: {warning}")


def scope_text(scope: Json) -> str:
    """What a word is about: `ENV`, `ENV/SERVICE`, `ENV/SERVICE/DATABASE` or `ENV/KEY`."""
    return "/".join(filter(None, (scope[part] for part in ("environment", "key", "service", "database"))))


def what_it_says(word: Json) -> str:
    """What a word says, in short; of a word that a plan relies on also what it is taken to mean."""
    memory = "; ".join(map(_use, word.get("remembered") or ()))
    meant = f": {memory}" if memory else ""
    if word.get("what", word.get("kind")) == "forget":
        return f"not in use any more{meant}"
    uses = word["uses"]
    seen = word.get("seenSince") or ()
    ended = f"; ended for {', '.join(seen)}, seen since" if seen else ""
    return f"as remembered{meant}{ended}" if uses is None else f"uses {', '.join(uses) or 'none'}{ended}"


def _repository(repository: Json) -> list[object]:
    """One rewinding: from where to where, and how many things beside it. The warnings name those."""
    beside, root = repository["beside"], repository["root"]
    counts = [
        "?" if name in beside["unread"] else len(beside[key]) + beside[more]
        for name, key, more in (
            ("pull requests", "pullRequests", "morePullRequests"),
            ("branches", "branches", "moreBranches"),
            ("tags", "tags", "moreTags"),
        )
    ]
    to = f"{root['sha'][:12]} {root['title']}".strip()
    return [repository["repository"], repository["branch"], repository["head"][:12], to, *counts]


def _use(use: Json) -> str:
    place = " ".join(filter(None, (use["service"], use["database"])))
    return f"{place} {use['key']}".strip()


def _what(step: Json) -> str:
    argv = step["argv"]
    what = " ".join(argv) or step["kind"].replace("-", " ")
    checks = step.get("checks") or ()
    if not argv and checks:
        what = "; ".join(_check(check) for check in checks)
    if argv[:2] == ["sh", "-c"]:
        what = str(argv[2]) if len(argv) == 3 else f"{argv[2]}  with {' '.join(argv[4:])}"  # noqa: PLR2004
    if argv and checks:
        what = f"{what}  then look for {'; '.join(_check(check) for check in checks)}"
    return f"{what}  (destructive)" if step["destructive"] else what


def _check(check: Json) -> str:
    """What the daemon looks for: `migrations of core`, `rows in roles of core`."""
    database = check["database"]
    if check["migrations"]:
        return f"migrations of {database}"
    if check["learned"]:
        return f"rows in what the last wipe filled of {database}"
    rows = check["rows"]
    asked = rows or check["unchanged"]
    where = "any table" if asked.get("anyTable") else "/".join(asked["table"] or ()) or asked["query"]
    return f"{'rows in' if rows else 'unchanged'} {where} of {database}"
