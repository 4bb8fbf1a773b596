"""`python -m sandbox up --directory DIR [--environments A,B]`: the platform until Ctrl-C or SIGTERM.

Progress goes to stderr; when all is up, one line of JSON to stdout: `{"ready": true, "platform": PATH, "env": PATH}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from sandbox import fleet
from sandbox.platform.directory import PlatformRunningError
from sandbox.platform.platform import Platform

_REFUSED = 2


def _say(text: str) -> None:
    sys.stderr.write(f"sandbox: {text}\n")


async def up(directory: Path, environments: list[str] | None) -> None:
    """Run the platform until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Platform.start(directory, environments=environments, say=_say) as platform:
        paths = {"platform": directory / "platform.json", "env": directory / "resetd.env"}
        ready = {"ready": True, **{name: str(path) for name, path in paths.items()}}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        platform.say(
            f"break something: python -m sandbox.faults --directory {directory} arm KIND (or: kinds)"
        )
        await stop.wait()
        platform.say("ending")


def main() -> int:
    """Entry of `python -m sandbox`."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("verb", choices=["up"])
    parser.add_argument("--directory", type=Path, default=Path("var/sandbox"))
    parser.add_argument("--environments", help="names, separated by commas; default: the whole fleet")
    arguments = parser.parse_args()
    names = arguments.environments.split(",") if arguments.environments else None
    known = {environment.name for environment in fleet.FLEET}
    if names and not known.issuperset(names):
        parser.error(f"the fleet has {', '.join(sorted(known))}")
    try:
        asyncio.run(up(arguments.directory.resolve(), names))
    except PlatformRunningError as error:
        _say(str(error))
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
