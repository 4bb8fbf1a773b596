"""How the stand-ins are told to take their time or to fail.

SANDBOX_CONTROLS names a directory with one file `{namespace}/{service}.json`: a command's name -> what it
is to do. A command is named by its npm script (`seed:system`, `db:deploy:core`) or by itself (`prisma migrate
deploy`, `typeorm migration:run`). The stand-ins read the file when they are launched; those that a start
script launched only obey with `startScript`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.services.standins.witness import START_SCRIPT

_WIRE = {
    "seconds": "seconds",
    "fail": "fail",
    "fail_after_rows": "failAfterRows",
    "ignore_term": "ignoreTerm",
    "output_bytes": "output_bytes",
    "start_script": "startScript",
}


@dataclass(frozen=True)
class Control:
    """What one command is to do.

    `seconds`: how long it takes, spread over a seed's rows or spent inside each migration's transaction; None:
    the default (a seed 0.3 s). `fail`: the text it fails with, a seed after `fail_after_rows` rows (all, when
    None). `ignore_term`: SIGTERM does nothing. `output_bytes`: so much is printed first. `start_script`: also
    for the start script's run.
    """

    seconds: float | None = None
    fail: str | None = None
    fail_after_rows: int | None = None
    ignore_term: bool = False
    output_bytes: int = 0
    start_script: bool = False


NOTHING = Control()


def put(directory: Path, namespace: str, service: str, **commands: Control) -> None:
    """Say it for some commands of a service: `put(..., **{"seed:system": Control(seconds=3)})`; others stay."""
    file = directory / namespace / f"{service}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    said = json.loads(file.read_text()) if file.exists() else {}
    for name, control in commands.items():
        said[name] = {_WIRE[field]: value for field, value in asdict(control).items()}
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(said, indent=1))
    fresh.rename(file)


def clear(directory: Path) -> None:
    """Take everything back that was said."""
    for file in directory.glob("*/*.json"):
        file.unlink()


def here(names: Iterable[str]) -> Control:
    """What the environment's container says for the first of these commands that it names."""
    environ = os.environ
    if "SANDBOX_CONTROLS" not in environ:
        return NOTHING
    file = Path(environ["SANDBOX_CONTROLS"], environ["SANDBOX_NAMESPACE"])
    try:
        said = json.loads((file / f"{environ['SANDBOX_SERVICE']}.json").read_text())
    except FileNotFoundError:
        return NOTHING
    fields = {wire: field for field, wire in _WIRE.items()}
    for name in names:
        if name in said:
            control = Control(**{fields[key]: value for key, value in said[name].items()})
            return control if control.start_script or START_SCRIPT not in environ else NOTHING
    return NOTHING
