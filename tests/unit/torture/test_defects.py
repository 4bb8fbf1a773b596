"""Each defect breaks something of the daemon as it is: what it puts aside is there under that name."""

from __future__ import annotations

import subprocess
import sys

_EACH = """
import os, daemon.bootstrap
from tests.torture.daemons import defects
for name in sorted(defects.DEFECTS):
    # A child, because what is broken stays broken.
    if not (child := os.fork()):
        defects.apply(name)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name)
"""


def test_every_defect_finds_what_it_breaks() -> None:
    done = subprocess.run([sys.executable, "-c", _EACH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
