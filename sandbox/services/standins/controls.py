"""How the stand-ins are told to take their time or to fail.

SANDBOX_CONTROLS names a directory with one file `{namespace}/{service}.json`: a command's name -> what it
is to do. A command is named by its npm script (`seed:system`, `db:deploy:core`) or by itself (`prisma migrate
deploy`, `typeorm migration:run`). The stand-ins read the file when they are launched; a stand-in that a start
script launched obeys only a control with `startScript`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sandbox.services.standins.witness import START_SCRIPT

_WIRE = {
    "seconds": "seconds",
    "fail": "fail",
    "fail_after_rows": "failAfterRows",
    "exits_zero": "exitsZero",
    "hides_error": "hidesError",
    "ignore_term": "ignoreTerm",
    "output_bytes": "output_bytes",
    "start_script": "startScript",
}
_LINE = "x" * 79 + "\n"


class Control(NamedTuple):
    """What one command is to do.

    Args:
        seconds: How long it takes, spread over a seed's rows or spent inside each migration's transaction; None: the
            command's usual time (a seed takes 0.3 s).
        fail: The text that it fails with; None: it succeeds.
        fail_after_rows: How many rows a seed writes before it fails; None: all of them.
        exits_zero: Whether a seed that fails prints its error and exits 0, as nest-commander comes.
        hides_error: Whether a seed that fails says nothing of it.
        ignore_term: Whether SIGTERM does nothing to it.
        output_bytes: How many bytes it prints before it does anything else.
        start_script: Whether the start script's run of the command obeys, too.
    """

    seconds: float | None = None
    fail: str | None = None
    fail_after_rows: int | None = None
    exits_zero: bool = False
    hides_error: bool = False
    ignore_term: bool = False
    output_bytes: int = 0
    start_script: bool = False


NOTHING = Control()


def put(directory: Path, namespace: str, service: str, **commands: Control) -> None:
    """Control some commands of a service: `put(..., **{"seed:system": Control(seconds=3)})`; others keep theirs."""
    file = directory / namespace / f"{service}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    said = json.loads(file.read_text()) if file.exists() else {}
    for name, control in commands.items():
        said[name] = {_WIRE[field]: value for field, value in control._asdict().items()}
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(said, indent=1))
    fresh.rename(file)


def clear(directory: Path) -> None:
    """Take back every control of every service."""
    for file in directory.glob("*/*.json"):
        file.unlink()


def begin(*names: str) -> Control:
    """The control of the command that this process is, by its npm script or else by the first of `names` with one.

    What is asked of a command of any kind is done here: it ignores SIGTERM, and prints its `output_bytes`.
    """
    script = os.environ.get("npm_lifecycle_event")  # noqa: SIM112 - npm's name
    control = _read([script, *names] if script else names)
    if control.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if control.output_bytes:
        lines, rest = divmod(control.output_bytes, len(_LINE))
        sys.stdout.write(_LINE * lines + _LINE[:rest])
    return control


def _read(names: Iterable[str]) -> Control:
    """What the file of this container's service says for the first of these commands that it names."""
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
