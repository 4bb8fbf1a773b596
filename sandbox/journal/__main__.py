"""`python -m sandbox.journal --socket PATH --file PATH`: the witness, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from sandbox.journal.server import JournalServer


def main() -> int:
    """Serve until a signal comes; prints `ready` once connections are taken."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.journal", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="where the stand-ins connect")
    parser.add_argument("--file", type=Path, required=True, help="the JSON lines, appended")
    parser.add_argument(
        "--while-stdin-open",
        action="store_true",
        help="end when standard input closes, so that it never outlives who started it",
    )
    arguments = parser.parse_args()
    server = JournalServer(arguments.socket, arguments.file)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    signal.signal(signal.SIGINT, lambda *_: server.stop())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve(until_closed=sys.stdin if arguments.while_stdin_open else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
