"""The seed that `prisma migrate reset` runs at its end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from sandbox.services.standins import children


def run() -> int:
    """Run the seed of prisma.config, which makes Prisma leave package.json's alone, or else that one."""
    package = children.package_directory()
    config = Path("prisma.config.ts")
    if config.exists():
        found = re.search(r"""\bseed:\s*["'](.+?)["']""", config.read_text())
        command = found[1] if found else None
    else:
        configured = json.loads((package / "package.json").read_text()) if package else {}
        command = configured.get("prisma", {}).get("seed")
    if not command or package is None:
        return 0
    sys.stdout.write(f"\nRunning seed command `{command}` ...\n")
    environ = children.with_local_programs(Path(package))
    done = subprocess.run(["/bin/sh", "-c", command], env=environ, check=False)
    if done.returncode:
        sys.stderr.write(
            "\nAn error occurred while running the seed command:\n"
            f"Error: Command failed with exit code {done.returncode}: {command}\n"
        )
        return 1
    sys.stdout.write("\n🌱  The seed command has been executed.\n")
    return 0
