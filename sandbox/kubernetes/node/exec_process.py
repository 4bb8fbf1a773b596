"""The process of an exec and its pipes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass, field

from sandbox.kubernetes.node.containers import Container
from sandbox.kubernetes.node.proc import gone, start_ticks
from sandbox.kubernetes.node.runtime import Runtime

STDIN, STDOUT, STDERR = 0, 1, 2
CHUNK = 32 * 1024


@dataclass
class Process:
    """A started command with the server's ends of its pipes; -1 for a pipe that it does not have."""

    popen: subprocess.Popen[bytes]
    stdin: int = -1
    outputs: dict[int, int] = field(default_factory=dict)

    async def exit_code(self) -> int:
        """Wait for the end; 128 + signal when it was killed."""
        ticks = start_ticks(self.popen.pid)
        if ticks is not None:
            await gone(self.popen.pid, ticks)
        code = self.popen.wait()
        return 128 - code if code < 0 else code


def _output() -> tuple[int, int]:
    """Make a pipe; returns the server's end and the command's.

    The command's end is open for reading, too: without the server its writes block, and do not break.
    """
    ours, write = os.pipe()
    theirs = os.open(f"/proc/self/fd/{write}", os.O_RDWR)
    os.close(write)
    return ours, theirs


def spawn(runtime: Runtime, container: Container, command: list[str], wanted: set[str]) -> Process:
    """Start a command in the container with the streams that are `wanted`."""
    theirs: list[int] = []
    outputs: dict[int, int] = {}
    null = os.open(os.devnull, os.O_RDWR)
    theirs.append(null)
    fds = {STDIN: null, STDOUT: null, STDERR: null}
    stdin = -1
    try:
        if "stdin" in wanted:
            fds[STDIN], stdin = os.pipe()
            theirs.append(fds[STDIN])
        for channel, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
            if name in wanted and not (channel == STDERR and "tty" in wanted):
                outputs[channel], fds[channel] = _output()
                theirs.append(fds[channel])
        if "tty" in wanted:
            fds[STDERR] = fds[STDOUT]
        popen = subprocess.Popen(
            runtime.exec_command(container, command),
            stdin=fds[STDIN],
            stdout=fds[STDOUT],
            stderr=fds[STDERR],
            env=container.environment(),
            cwd=container.app,
            # With namespaces `setsid` makes the session inside; nsenter, which stays outside, gets one here.
            start_new_session=runtime.mode != "none",
        )
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    return Process(popen, stdin, outputs)


async def open_reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """Read the server's end of an output; closing the transport closes it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader, transport


async def open_writer(descriptor: int) -> asyncio.StreamWriter:
    """Write to the server's end of the input."""
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "wb", buffering=0)
    protocol_of = asyncio.streams.FlowControlMixin
    transport, protocol = await loop.connect_write_pipe(protocol_of, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
