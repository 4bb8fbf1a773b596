"""The tokens of a stand's people: what the daemons read of them, and what a call in somebody's name comes with."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import yaml

from tests.torture.script.people import OPERATOR, PEOPLE


class Tokens:
    """A token for each of the people."""

    def __init__(self) -> None:
        self._secrets = {one.subject: f"resetd_{secrets.token_urlsafe(24)}" for one in PEOPLE}

    def header(self, subject: str) -> dict[str, str]:
        """The header of a call in this name; KeyError where nobody has it."""
        return {"Authorization": f"Bearer {self._secrets[subject]}"}

    def write(self, directory: Path) -> Path:
        """Write the file that `RESETD_API_TOKENS` names."""
        file = directory / "tokens.yaml"
        known = [
            {
                "name": f"token of {one.subject}",
                "subject": one.subject,
                "sha256": hashlib.sha256(self._secrets[one.subject].encode()).hexdigest(),
                "roles": list(one.roles),
                "environments": list(one.environments),
            }
            for one in PEOPLE
        ]
        file.write_text(yaml.safe_dump(known))
        return file

    def give_operators(self, directory: Path) -> None:
        """Put the operator's token where the client of the daemon in `directory` looks for it."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "operator-token").write_text(self._secrets[OPERATOR.subject])
