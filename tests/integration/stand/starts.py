"""How the daemons of these tests are started: as forks of a process that has imported all that `resetd serve` imports.

Importing takes two seconds of a processor, and these tests start some hundred daemons. What a daemon does is the same
`serve(load())`; that `python -m daemon serve` is one, too, is shown by the demo and where a test starts it itself.
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
