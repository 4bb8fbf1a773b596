"""What a failed exec means: the program is missing, or the machinery below it failed."""

from __future__ import annotations

import json

import pytest

from daemon.adapters.kubernetes.exec.short_exec import unexpected_exit
from daemon.adapters.kubernetes.exec.websocket_stream import ContainerRef, exit_code_of
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Result
from schemas.reasons import Reason

RUNC = (
    'error executing command in container: failed to exec in container: failed to start exec "4f": OCI runtime '
    "exec failed: exec failed: unable to start container process: {}: unknown"
)
MISSING = {
    "runc": RUNC.format('exec: "sh": executable file not found in $PATH'),
    "runc by path": RUNC.format('exec: "/bin/sh": stat /bin/sh: no such file or directory'),
    "runc without the right": RUNC.format('exec: "sh": permission denied'),
    "runc of 2019": 'container_linux.go:345: starting container process caused "exec: \\"sh\\": executable file not '
    'found in $PATH": unknown',
    "runc with another architecture": RUNC.format("exec /usr/bin/sh: exec format error"),
    "crun": "rpc error: code = Unknown desc = command error: executable file `sh` not found in $PATH: No such file or "
    "directory, stdout: , stderr: , exit code -1",
    "gVisor": 'OCI runtime exec failed: executing processes for container: error finding executable "sh" in PATH '
    "[/usr/local/sbin /usr/local/bin]: no such file or directory",
    "youki": "exec failed: executable 'sh' for container process not found",
}
FAILED = {
    "cgroup": RUNC.format("open /sys/fs/cgroup/kubepods.slice/pod1/cgroup.procs: no such file or directory"),
    "console": RUNC.format("open /dev/pts/0: permission denied"),
    "nsenter": RUNC.format("nsexec-1[77]: failed to open /proc/7/ns/ipc: No such file or directory"),
    "working directory": RUNC.format(
        'chdir to cwd ("/app") set in config.json failed: no such file or directory'
    ),
    "another program": RUNC.format('exec: "show": executable file not found in $PATH'),
    "containerd is away": 'connection error: desc = "transport: error while dialing: dial unix '
    '/run/containerd/s/4f: connect: no such file or directory"',
    "runtime is away": 'fork/exec /usr/bin/runc: no such file or directory: ""',
    "kata": 'rpc error: code = Internal desc = failed to exec "sh -c x": ENOENT: No such file or directory',
    "stopped": "failed to create exec: cannot exec in a stopped container: not found",
}


def refusal(message: str, program: str = "sh") -> PortError:
    status = {"status": "Failure", "reason": "InternalError", "message": message, "code": 500}
    with pytest.raises(PortError) as raised:
        exit_code_of(json.dumps(status).encode(), "qa-sandbox/app-1", program)
    return raised.value


@pytest.mark.parametrize("said", MISSING.values(), ids=MISSING)
def test_f3_only_the_program_that_was_asked_for_is_missing_for_good(said: str) -> None:
    error = refusal(said)
    assert isinstance(error, PermanentError)
    assert error.reason is Reason.EXEC_REFUSED
    assert "`sh`" in (error.hint or "")


@pytest.mark.parametrize("said", FAILED.values(), ids=FAILED)
def test_f3_a_file_that_the_machinery_misses_is_temporary(said: str) -> None:
    error = refusal(said)
    assert isinstance(error, TemporaryError)
    assert error.reason is Reason.EXEC_REFUSED


def test_f3_a_program_with_a_path_is_found_by_that_path() -> None:
    said = RUNC.format('exec: "/opt/tool/run": stat /opt/tool/run: no such file or directory')
    assert isinstance(refusal(said, "/opt/tool/run"), PermanentError)
    assert isinstance(refusal(said, "/usr/bin/run"), TemporaryError)


@pytest.mark.parametrize("code", [126, 127])
def test_f3_a_runtime_that_answers_by_an_exit_code_is_understood_as_well(code: int) -> None:
    where = ContainerRef("qa-sandbox", "app-1", "app")
    missing = unexpected_exit("prepare", where, Result(code, b"", MISSING["crun"].encode()))
    assert isinstance(missing, PermanentError)
    other = unexpected_exit("prepare", where, Result(code, b"", b"sh: 1: dd: not found"))
    assert isinstance(other, TemporaryError)


@pytest.mark.parametrize(
    "status",
    [
        b"[]",
        b'"gone"',
        b'{"reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": "none"}]}}',
        b'{"reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode"}]}}',
        b'{"reason": "NonZeroExitCode", "details": {"causes": ["ExitCode"]}}',
    ],
)
def test_a_status_in_another_shape_tells_nothing(status: bytes) -> None:
    with pytest.raises(TemporaryError):
        exit_code_of(status, "p")
