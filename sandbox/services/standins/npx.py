"""`npx PROGRAM ARGUMENT...`: runs the program from the package's own `node_modules/.bin`."""

from __future__ import annotations

import sys

from sandbox.services.standins import children


def main(arguments: list[str]) -> int:
    """Run the program; returns its exit code, or 1 when the package does not have it (a pod asks no registry)."""
    while arguments and arguments[0] in ("-y", "--yes", "--no", "--no-install", "--"):
        arguments = arguments[1:]
    directory = children.package_directory()
    if not arguments or directory is None:
        sys.stderr.write("npm error could not determine executable to run\n")
        return 1
    program = directory / "node_modules" / ".bin" / arguments[0]
    if not program.exists():
        sys.stderr.write(
            f"npm error code E404\nnpm error 404 Not Found - {arguments[0]}\n"
            f"npm error 404  '{arguments[0]}@*' is not in this registry.\n"
        )
        return 1
    environ = children.with_local_programs(directory)
    return children.wait_for([str(program), *arguments[1:]], environ)
