"""Who may do what in these tests, and the tokens that they show."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

PEOPLE: dict[str, tuple[list[str], list[str]]] = {
    "vera": (["viewer"], ["qa-*"]),
    "ana": (["requester"], ["qa-*", "los-demo-*"]),
    "oli": (["operator"], ["*"]),
    "ben": (["approver"], ["*"]),
    "ada": (["admin"], ["*"]),
    "pat": (["requester", "approver"], ["*"]),
}


def write_tokens(directory: Path) -> tuple[Path, dict[str, str]]:
    """Write the file of tokens for all people. The answer is its path, and each person's token."""
    tokens = {person: f"token-of-{person}-for-these-tests" for person in PEOPLE}
    entries = [
        {
            "name": f"{person}'s laptop",
            "subject": person,
            "sha256": hashlib.sha256(tokens[person].encode()).hexdigest(),
            "roles": roles,
            "environments": environments,
        }
        for person, (roles, environments) in PEOPLE.items()
    ]
    file = directory / "tokens.yaml"
    file.write_text(yaml.safe_dump(entries))
    return file, tokens
