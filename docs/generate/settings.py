"""The table of the daemon's settings, out of `daemon.config.settings`: `docs/reference/settings.md`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from daemon.config.environment_variables import is_secret, variable_of
from daemon.config.settings import ClientSettings, Settings

PATH = "docs/reference/settings.md"
_HEADING = """\
# Settings

Generated from `daemon/config/settings.py` by `make docs`. All settings are environment variables.

- A secret (marked \\*) may be the content of a file: `RESETD_..._FILE` names the file.
- An empty variable counts as unset. `RESETD_ARGOCD_NAMESPACE` is the exception: empty means that there is no gate.
- Durations are written like `10s`, `90m`, `1h30m`, `24h`.
- A wrong value stops `resetd` with exit code 2 and one line for each wrong variable.
"""


def documents() -> dict[str, str]:
    """Path in the repository -> text."""
    parts = [
        _HEADING,
        "## The daemon\n",
        *_table(Settings),
        "",
        "## The command line\n",
        *_table(ClientSettings),
    ]
    return {PATH: "\n".join(parts) + "\n"}


def _table(of: type[BaseModel]) -> list[str]:
    rows = [_row(name, field) for name, field in of.model_fields.items()]
    return ["| variable | default | meaning |", "| --- | --- | --- |", *rows]


def _row(name: str, field: FieldInfo) -> str:
    mark = " \\*" if is_secret(field) else ""
    meaning = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{variable_of(name)}`{mark} | {_default(field.default)} | {meaning} |"


def _default(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        return f"`{seconds // 3600}h`" if seconds % 3600 == 0 else f"`{seconds}s`"
    return f"`{f'./{value}' if isinstance(value, Path) else value}`"
