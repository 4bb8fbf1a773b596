"""`npm run NAME [-- ARGUMENT...]`, and the little else of npm that runs in a service's pod."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from sandbox.services.standins import children, witness

_VERSION = "10.9.2"


def main(arguments: list[str]) -> int:
    """Run npm: its exit code is the script's, and its own notices go to standard error."""
    if arguments[:1] in (["--version"], ["-v"]):
        sys.stdout.write(f"{_VERSION}\n")
        return 0
    if arguments[:1] not in (["run"], ["run-script"]):
        sys.stderr.write(
            f'Unknown command: "{" ".join(arguments)}"\n\nTo see a list of supported npm commands, run:\n  npm help\n'
        )
        return 1
    directory = children.package_directory()
    if directory is None:
        sys.stderr.write(
            "npm error code ENOENT\nnpm error syscall open\n"
            f"npm error path {Path.cwd()}/package.json\nnpm error errno -2\n"
            "npm error enoent Could not read package.json: Error: ENOENT: no such file or directory, "
            f"open '{Path.cwd()}/package.json'\n"
        )
        return 254
    package = json.loads((directory / "package.json").read_text())
    if len(arguments) == 1:
        return _list(package)
    return _run(directory, package, arguments[1], arguments[2:])


def _list(package: dict[str, object]) -> int:
    sys.stdout.write(f"Scripts available in {package['name']}@{package['version']} via `npm run`:\n")
    scripts = package["scripts"]
    assert isinstance(scripts, dict)
    for name, script in scripts.items():
        sys.stdout.write(f"  {name}\n    {script}\n")
    return 0


def _run(directory: Path, package: dict[str, object], name: str, rest: list[str]) -> int:
    scripts = package["scripts"]
    assert isinstance(scripts, dict)
    if name not in scripts:
        sys.stderr.write(
            f'npm error Missing script: "{name}"\nnpm error\n'
            "npm error To see a list of scripts, run:\nnpm error   npm run\n"
        )
        return 1
    # npm takes options of its own up to `--`, and drops those that it does not know.
    own = rest.index("--") if "--" in rest else len(rest)
    passed = [word for word in rest[:own] if not word.startswith("-")] + rest[own + 1 :]
    words = " ".join([scripts[name], *(shlex.quote(word) for word in passed)])
    sys.stdout.write(f"\n> {package['name']}@{package['version']} {name}\n> {words}\n\n")
    sys.stdout.flush()
    outermost = os.environ.get(witness.PARENT, "").endswith(":1")
    environ = children.with_local_programs(directory)
    environ["npm_lifecycle_event"] = name
    if name in witness.START_SCRIPTS:
        environ[witness.START_SCRIPT] = name
    code = children.wait_for(["/bin/sh", "-c", words], environ, str(directory))
    if outermost:
        sys.stderr.write(
            "npm notice\nnpm notice New major version of npm available! "
            f"{_VERSION} -> 11.6.0\nnpm notice To update run: npm install -g npm@11.6.0\nnpm notice\n"
        )
    return code
