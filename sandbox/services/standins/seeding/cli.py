"""`ts-node [-r MODULE] SCRIPT ARGUMENT...` and `tsx SCRIPT`: run the seed whose rows lie beside the script."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def ts_node(arguments: list[str]) -> int:
    """Run a seed; returns 0, or 1 with the error on standard error."""
    while arguments[:1] in (["-r"], ["--require"]):
        arguments = arguments[2:]
    return _run("ts-node", arguments)


def tsx(arguments: list[str]) -> int:
    """Run a seed as `ts_node` does, without its options."""
    return _run("tsx", arguments)


def _run(program: str, arguments: list[str]) -> int:
    script = Path.cwd() / arguments[0] if arguments else None
    if script is None or not script.is_file():
        sys.stderr.write(f"{program}: Error: Cannot find module '{script}'\n")
        return 1
    from sandbox.services.standins.seeding import integrations, plain, rows

    try:
        if script.parent.name == "seeders":
            integrations.seed(script, arguments[1:])
        else:
            plain.seed(script, json.loads(script.with_suffix(".json").read_text()))
    except rows.SeedError as error:
        # nest-commander's own handler writes the error without a line's end.
        sys.stderr.write(f"{error}\n" if error.exit_code else str(error))
        return error.exit_code
    return 0
