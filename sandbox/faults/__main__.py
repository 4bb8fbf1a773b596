"""`python -m sandbox.faults VERB --directory DIR`: the faults of the platform that runs in DIR.

arm KIND [--environment E] [--service S] [--times N] [--seconds T]
clear     nothing is armed any more, and what lasts is undone
hits      JSON: how often each kind has hit
kinds     the names of all
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from sandbox.faults.fault import Fault
from sandbox.faults.faults import Faults
from sandbox.faults.kinds import FaultKind


async def main(arguments: argparse.Namespace) -> str:
    """Do what the command line asks for; returns what to print."""
    faults = Faults(arguments.directory / "faults")
    match arguments.verb:
        case "arm":
            place = arguments.environment, arguments.service
            await faults.arm(Fault(arguments.kind, *place, times=arguments.times, seconds=arguments.seconds))
            return f"armed {arguments.kind}"
        case "clear":
            await faults.clear()
            return "cleared"
        case "hits":
            return json.dumps(dict(sorted((await faults.hits()).items())), indent=1)
        case _:
            return "\n".join(FaultKind)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.faults", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--directory", type=Path, default=Path("var/sandbox"), help="of the running platform")
    verbs = parser.add_subparsers(dest="verb", required=True)
    arm = verbs.add_parser("arm")
    arm.add_argument("kind", type=FaultKind, metavar="KIND")
    arm.add_argument("--environment")
    arm.add_argument("--service")
    arm.add_argument("--times", type=int, default=1)
    arm.add_argument("--seconds", type=float)
    for verb in ("clear", "hits", "kinds"):
        verbs.add_parser(verb)
    found = parser.parse_args()
    if found.verb != "kinds" and not (found.directory / "platform.json").exists():
        parser.error(f"no platform runs in {found.directory}")
    return found


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(main(_arguments())) + "\n")
