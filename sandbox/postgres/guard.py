"""A process that runs one server and stops it when its own standard input closes.

It is run as a file: `python -I guard.py UID GID SCRATCH PROGRAM ARGUMENT...` (UID -1: no change of user). The process
that starts it holds the other end of the pipe. When that process dies, even by SIGKILL, the pipe closes: the guard
stops the server and deletes the directory SCRATCH (`-`: none), so a sandbox leaves nothing behind. A byte before the
close announces an orderly stop, which keeps the data. The guard uses the standard library only.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import sys

ORDERLY = b"."
_PR_SET_PDEATHSIG = 1


def main(uid: int, gid: int, scratch: str, command: list[str]) -> int:
    """Run `command` until it ends or standard input closes; returns its exit code."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        try:
            if uid >= 0:
                os.setgroups([])
                os.setgid(gid)
                os.setuid(uid)
            # Stops the server when the guard is killed. It is set last, because a change of user clears it.
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.execv(command[0], command)  # noqa: S606 - a program by its path, no shell
        finally:
            os._exit(127)
    alive = os.pidfd_open(child)
    readable, _, _ = select.select([0, alive], [], [])
    if alive not in readable:
        os.kill(child, signal.SIGINT)  # PostgreSQL's fast shutdown: sessions are cut, data are kept
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if alive not in readable and scratch != "-" and not os.read(0, 1):
        shutil.rmtree(scratch, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
