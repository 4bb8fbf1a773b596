"""How these tests start daemons and command lines: as forks of a process that has imported all that `resetd` imports.

Importing takes two seconds of a processor, and these tests start some hundred. What each does is the same
`serve(load())`, or the same command line. That `python -m daemon` is these, too, is shown by the demo, and where a test
starts it itself.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache

from tests.torture.daemons import zygote


@cache
def forks() -> zygote.Zygote:
    """The one zygote of this process, which ends with it."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(zygote.running())
