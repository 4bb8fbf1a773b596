"""Programs around others: `cross-env`, `run-p` (npm-run-all), `nest build`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from sandbox.services.standins import children


def cross_env(arguments: list[str]) -> int:
    """`cross-env KEY=VALUE... PROGRAM ARGUMENT...`: runs the program with these variables."""
    environ = dict(os.environ)
    while arguments and "=" in arguments[0]:
        key, _, value = arguments[0].partition("=")
        environ[key] = value
        arguments = arguments[1:]
    return children.wait_for(arguments, environ) if arguments else 0


def run_p(arguments: list[str]) -> int:
    """`run-p SCRIPT...`: runs npm scripts side by side; when one fails, the others get SIGTERM, and the code is 1."""
    scripts = {subprocess.Popen(["/usr/bin/env", "npm", "run", name]): name for name in arguments}

    def pass_on(number: int, _: object) -> None:
        for child in scripts:
            if child.returncode is None:
                child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    by_pid = {child.pid: child for child in scripts}
    failed = None
    while by_pid:
        pid, status = os.wait()
        child = by_pid.pop(pid, None)
        if child is None:
            continue
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode and failed is None:
            failed = scripts[child], child.returncode
            pass_on(signal.SIGTERM, None)
    if failed:
        sys.stderr.write(f'ERROR: "{failed[0]}" exited with {failed[1]}.\n')
    return int(failed is not None)


def nest(arguments: list[str]) -> int:
    """`nest build`: writes `dist/main.js`."""
    if arguments[:1] != ["build"]:
        sys.stderr.write(f"error: unknown command '{' '.join(arguments)}'\n")
        return 1
    Path("dist").mkdir(exist_ok=True)
    Path("dist/main.js").write_text('require("./app");\n')
    return 0
