"""PID 1 of a container: prepares the mounts, starts the command, reaps, forwards SIGTERM, ends with the command.

From SIGUSR1 on it reaps the command alone, and orphans stay zombies; from SIGUSR2 on it reaps all again.

Run as a plain file by `python -I -S init.py SPEC` inside fresh PID and mount namespaces, with the container's own
environment; it imports nothing of the project, because it stays in memory for every container. SPEC is a JSON file:
`command` (argv), `cwd`, `log`, `state` and `exit` (files), `namespaces` (bool), `life` (an inherited pidfd of the
process whose end ends the container, or null), `mount` (program), `stage` (an empty directory), `keep` (directories
under /tmp to show in the private /tmp), `shm` (directory that becomes /dev/shm), `binds` ([source, target] pairs).

`state` holds `PID STARTTICKS` as the host counts them; it appears once the mounts are made. `exit` holds
`CODE REASON`; it appears when the command has ended by itself. The log is in the CRI format.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

Spec = dict[str, Any]
LONGEST_LINE = 16384


def write(path: str, text: str) -> None:
    """Replace a file in one step."""
    with open(path + ".new", "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib doubles PID 1's memory
        file.write(text)
    os.replace(path + ".new", path)  # noqa: PTH105 - as above


def mount(spec: Spec, *arguments: str) -> None:
    """Call the mount program; its failure is an OSError, which ends the container with its text in the log."""
    program = spec["mount"]
    _, status = os.waitpid(os.posix_spawn(program, [program, *arguments], {}), 0)
    if status:
        raise OSError("mount " + " ".join(arguments) + " failed")


def prepare_mounts(spec: Spec) -> None:
    """Mount a private /tmp, the pod's /dev/shm, the volumes, and a /proc that shows this PID namespace only.

    The new /tmp is made on a stage first, because the container's own directory may lie under /tmp and has to stay
    visible.
    """
    stage = spec["stage"]
    mount(spec, "-t", "tmpfs", "-o", "mode=1777", "tmpfs", stage)
    for path in spec["keep"]:
        inside = stage + path.removeprefix("/tmp")
        os.makedirs(inside, exist_ok=True)  # noqa: PTH103
        mount(spec, "--rbind", path, inside)
    mount(spec, "--rbind", stage, "/tmp")
    mount(spec, "--bind", spec["shm"], "/dev/shm")
    for source, target in spec["binds"]:
        if target.startswith(("/tmp/", "/dev/shm/")):
            os.makedirs(target, exist_ok=True)  # noqa: PTH103
        mount(spec, "--bind", source, target)
    mount(spec, "-t", "proc", "proc", "/proc")


def identity() -> str:
    """`PID STARTTICKS` of this process, as the inherited /proc counts them."""
    with open("/proc/self/stat", encoding="utf-8") as file:  # noqa: PTH123
        text = file.read()
    return text.split(" ", 1)[0] + " " + text.rpartition(")")[2].split()[19]


class Log:
    """Writes the command's output line by line in the CRI format: `TIME stdout|stderr F|P TEXT`."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._rest: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def feed(self, stream: str, data: bytes, *, ended: bool = False) -> None:
        """Log what was read; a last line without a newline is written when the stream has ended."""
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        entries = [(line, b"F") for line in lines]
        if (ended and rest) or len(rest) > LONGEST_LINE:
            entries.append((rest, b"P"))
            rest = b""
        self._rest[stream] = rest
        moment = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
        head = f"{stamp}.{int(moment % 1 * 1e9):09d}Z {stream} ".encode()
        text = b"".join(head + flag + b" " + line + b"\n" for line, flag in entries)
        while text:
            text = text[os.write(self._file, text) :]


def become_subreaper() -> None:
    """Make orphans of the container children of this process; used where there is no PID namespace."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def kill_marked(marker: bytes) -> None:
    """Kill every process with this container's id in its environment; used where there is no PID namespace."""
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/environ", "rb") as file:  # noqa: PTH123
                    marked = marker in file.read().split(b"\0")
                if marked:
                    os.kill(int(entry), signal.SIGKILL)


def finish(spec: Spec, code: int, reason: str) -> NoReturn:
    """Record how the command ended, and end PID 1; the kernel then kills all other processes of the container."""
    if spec["exit"]:
        write(spec["exit"], f"{code} {reason}")
    if not spec["namespaces"]:
        kill_marked(b"SANDBOX_CONTAINER_ID=" + os.environb[b"SANDBOX_CONTAINER_ID"])
    os._exit(code)


def start(spec: Spec, outputs: tuple[int, int]) -> int:
    """Start the command in the container's directory; OSError when there is no such program."""
    os.chdir(spec["cwd"])
    command = spec["command"]
    null = os.open("/dev/null", os.O_RDONLY)
    return os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((null, *outputs))],
        setpgroup=0,
        setsigmask=[],
        setsigdef=[signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2],
    )


def reap(child: int, whom: int) -> int | None:
    """Collect every ended process (`whom` -1) or that one only; the wait status of `child` once it is among them."""
    ended = None
    while True:
        try:
            pid, status = os.waitpid(whom, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        if pid == child:
            ended = status


def drain(log: Log, streams: dict[int, str]) -> None:
    """Log what the pipes still hold, without waiting for processes that keep the pipes open."""
    for fd, stream in streams.items():
        with contextlib.suppress(BlockingIOError):
            while data := os.read(fd, 65536):
                log.feed(stream, data)
        log.feed(stream, b"", ended=True)


def heed(signals: bytes, child: int, whom: int) -> int:
    """Do what the signals ask for; returns whom to collect from here on, as `reap` takes it."""
    if int(signal.SIGTERM) in signals:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    for number in signals:
        # Node as PID 1 is like that: it collects only what it started itself.
        whom = {int(signal.SIGUSR1): child, int(signal.SIGUSR2): -1}.get(number, whom)
    return whom


def supervise(spec: Spec, child: int, log: Log, streams: dict[int, str], wake: int) -> NoReturn:
    """Log, reap and forward signals until the command or the process behind `life` ends."""
    poll = select.poll()
    for fd in (*streams, wake):
        poll.register(fd, select.POLLIN)
    if spec["life"] is not None:
        poll.register(spec["life"], select.POLLIN)
    whom = -1
    while True:
        for fd, _ in poll.poll():
            if fd == spec["life"]:
                spec["exit"] = None
                finish(spec, 137, "Error")
            elif fd == wake:
                whom = heed(os.read(wake, 512), child, whom)
            elif data := os.read(fd, 65536):
                log.feed(streams[fd], data)
            else:
                poll.unregister(fd)
        status = reap(child, whom)
        if status is not None:
            drain(log, streams)
            code = os.waitstatus_to_exitcode(status)
            finish(spec, 128 - code if code < 0 else code, "Error" if code else "Completed")


def main() -> NoReturn:
    """Run as PID 1: see the module's docstring."""
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        spec: Spec = json.load(file)
    if os.getsid(0) != os.getpid():
        os.setsid()
    if spec["life"] is not None:
        os.set_inheritable(spec["life"], False)  # noqa: FBT003 - takes no keyword
    log = Log(spec["log"])
    wake, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    here = identity()
    try:
        if spec["namespaces"]:
            prepare_mounts(spec)
        else:
            become_subreaper()
        outputs = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
        for read, _ in outputs:
            os.set_blocking(read, False)
        child = start(spec, (outputs[0][1], outputs[1][1]))
    except OSError as error:
        log.feed("stderr", f"failed to start container: {error}\n".encode())
        write(spec["state"], here)
        finish(spec, 128, "StartError")
    for _, end in outputs:
        os.close(end)
    write(spec["state"], here)
    streams = {outputs[0][0]: "stdout", outputs[1][0]: "stderr"}
    supervise(spec, child, log, streams, wake)


if __name__ == "__main__":
    main()
