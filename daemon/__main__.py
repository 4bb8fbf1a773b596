"""The command `resetd`, also started as `python -m daemon`."""

from __future__ import annotations

from daemon.cli.app import app
from daemon.cli.run import run


def main() -> None:
    """Run the command line and exit."""
    run(app)


if __name__ == "__main__":
    main()
