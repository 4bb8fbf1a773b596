"""The shipped catalog with all of its commands in holders."""

from __future__ import annotations

from pathlib import Path

from tests.integration.stand.shipped_catalog import shipped_catalog, write_catalog

LEAVES_A_CHILD = "setsid sh -c 'trap \"\" TERM; exec sleep 100000' & npm run seed"
"""The child is in a session of its own, and deaf to being asked."""


def holder_catalog(directory: Path, *, leaves_a_child: str | None = None) -> Path:
    """Its file; the seed of the service `leaves_a_child` leaves one."""
    held = shipped_catalog()
    for service in held["services"]:
        for steps in service["steps"].values():
            for one in steps:
                one["runIn"] = "holder"
                if service["name"] == leaves_a_child and one["name"] == "seed":
                    one["argv"][2] = LEAVES_A_CHILD
    return write_catalog(directory, held)
