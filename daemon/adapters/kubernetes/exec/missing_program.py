"""Whether a container runtime says that the program of an exec can't be run, rather than that something else failed.

Runtimes have no code for it: a Status says `InternalError` and quotes the runtime. Most of what a runtime lacks, too,
is "no such file or directory": a cgroup that is being removed, a socket of containerd that restarts, a mount. So the
program that was asked for has to be named as what is missing.

Sources: runc and containerd (`exec: "sh": executable file not found in $PATH`, `exec: "/bin/sh": stat /bin/sh: no such
file or directory`), crun (``executable file `sh` not found in $PATH``), gVisor (`error finding executable "sh" in PATH
[...]: no such file or directory`), youki (`executable 'sh' for container process not found`).
"""

from __future__ import annotations

import re
from functools import cache

_QUOTES = r"[\\\"'`]*"
_ASKED = r"\b(?:exec:?|stat|executable(?: file)?|failed to load)"
_PLACE = r"(?: in \$?PATH(?: \[[^\]]*\])?| for container process)?"
_WHY = (
    r"(?:executable file )?"
    r"(?:not found|no such file or directory|permission denied|exec format error|is a directory)"
)


def says_program_is_missing(text: str, program: str) -> bool:
    """Tell whether a runtime's text says that this very program is not there, or can't be executed.

    Args:
        text: As the runtime said it.
        program: The first word of the command that was asked for.
    """
    return _pattern(program).search(text) is not None


@cache
def _pattern(program: str) -> re.Pattern[str]:
    name = re.escape(program) if "/" in program else r"(?:/[\w./-]*/)?" + re.escape(program)
    named = rf"{_QUOTES}{name}{_QUOTES}"
    return re.compile(rf"{_ASKED} {named}{_PLACE}:? (?:stat {named}: )?{_WHY}", re.IGNORECASE)
