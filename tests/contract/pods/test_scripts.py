"""The scripts that run in pods, under each shell that this machine has: dash, bash, busybox.

As in a pod, each script runs in the namespaces of a container and in a session of its own. `ln`, `head` and the like
are the machine's, but for busybox, whose shell prefers its own.

Over 300 lines: one sentence for each promise of the scripts, over one set of fixtures.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemon.adapters.kubernetes.exec import scripts
from daemon.adapters.kubernetes.exec.follow_frames import FrameDecoder
from daemon.adapters.kubernetes.exec.scripts import Refusal, Script
from daemon.ports.pods.commands import Observation
from sandbox.kubernetes.node.runtime import ENTER, MODES, namespaces_mode

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
RACES = 15
"""For each shell in each run; 300 for each were run once."""
MARKER = "r/seed.app/1"


class Box:
    """A bare container: a PID namespace whose first process reaps no other one, as with node."""

    def __init__(self, shell: list[str], base: Path, mode: str) -> None:
        self.shell = shell
        self.base = base
        self.open: list[subprocess.Popen[bytes]] = []
        arguments = [*MODES[mode], "--mount-proc", "--kill-child", "sleep", "1000000"]
        self._holder = subprocess.Popen(
            ["unshare", *arguments],  # noqa: S607 - found where the machine has it
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        until(lambda: children.read_text().strip())
        self._init = children.read_text().strip()
        until(lambda: Path(f"/proc/{self._init}/comm").read_text() == "sleep\n")
        self._enter = ["nsenter", "--target", self._init, *ENTER[mode], "--wd=."]

    def close(self) -> None:
        """Kill every process in it."""
        os.kill(int(self._init), signal.SIGKILL)
        self._holder.wait()
        for process in self.open:
            process.wait()
            if process.stdout:
                process.stdout.close()

    def spawn(
        self, argv: list[str], *, stdin: int | None = None, **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start a program in it, in a session of its own."""
        process = subprocess.Popen(
            [*self._enter, "setsid", *argv],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.base)} | variables,
        )
        self.open.append(process)
        return process

    def program(self, *argv: str, stdin: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
        """Run a program in it to its end."""
        process = self.spawn(list(argv), stdin=subprocess.PIPE, **variables)
        stdout, _ = process.communicate(stdin, timeout=60)
        self.open.remove(process)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout)

    def argv(self, script: Script, *arguments: str) -> list[str]:
        _, dash_c, *rest = scripts.argv(script, *arguments)
        return [*self.shell, dash_c, *rest]

    def run(
        self, script: Script, *arguments: str, stdin: bytes = b"", **variables: str
    ) -> subprocess.CompletedProcess[bytes]:
        return self.program(*self.argv(script, *arguments), stdin=stdin, **variables)

    def prepare(self, name: str = "resetd.1") -> tuple[str, str]:
        directory, incarnation = self.run("prepare", name).stdout.decode().splitlines()
        return directory, incarnation

    def launch(
        self, place: tuple[str, str], *argv: str, stdin: bytes = b"", **variables: str
    ) -> subprocess.CompletedProcess[bytes]:
        marked = variables | {"RESETD_ATTEMPT": MARKER}
        return self.run("launch", *place, "resetd:s", str(len(stdin)), *argv, stdin=stdin, **marked)

    def follow(
        self, place: tuple[str, str], offset: int = 0, *, bound: int = 4096, life: int = 20
    ) -> list[Observation]:
        done = self.run("follow", *place, str(offset), str(bound), str(life))
        assert done.returncode == 0, done
        return FrameDecoder().feed(done.stdout)

    def following(self, place: tuple[str, str], life: int = 20) -> subprocess.Popen[bytes]:
        return self.spawn(self.argv("follow", *place, "0", "4096", str(life)))

    def gone(self, place: tuple[str, str]) -> subprocess.CompletedProcess[bytes]:
        return self.run("sweep", *place, MARKER, "gone")

    def stop(self, place: tuple[str, str], act: str) -> None:
        assert self.run("sweep", *place, MARKER, act).returncode == 0

    def claim(self, place: tuple[str, str]) -> list[int]:
        return [int(part) for part in str(Path(place[0], "claim").readlink()).split(".")]

    def living(self) -> set[str]:
        """Return the numbers of its processes, without the first one, zombies, keepers, and those that list them."""
        look = self.program("sh", "-c", "cat /proc/self/stat /proc/[0-9]*/stat 2>/dev/null").stdout.decode()
        told = [(line.split()[0], line.rpartition(") ")[2].split()) for line in look.splitlines()]
        mine = told[0][1][3]
        living = {
            number: fields[1]
            for number, fields in told
            if number != "1" and fields[0] not in "ZX" and fields[3] != mine
        }
        keepers = {number for number, parent in living.items() if parent in living and self._forked(number)}
        return {number for number in living if not {number, living[number]} & keepers}

    def _forked(self, number: str) -> bool:
        """Tell whether a process runs the launch script without being the one that launched."""
        return b"rd_keep" in self.program("cat", f"/proc/{number}/cmdline").stdout


@pytest.fixture(scope="session")
def mode() -> str:
    found = namespaces_mode()
    if found == "none":
        pytest.skip("this machine refuses namespaces")
    return found


@pytest.fixture(params=SHELLS)
def box(request: pytest.FixtureRequest, tmp_path: Path, mode: str) -> Iterator[Box]:
    shell = SHELLS[request.param]
    if shutil.which(shell[0]) is None:
        pytest.skip(f"this machine has no {shell[0]}")
    box = Box(shell, tmp_path, mode)
    try:
        yield box
    finally:
        box.close()


def until(fulfilled: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < end
        time.sleep(0.01)


def output_of(observations: list[Observation]) -> bytes:
    return b"".join(seen.log for seen in observations)


def test_of_two_launches_and_a_tombstone_one_wins(box: Box) -> None:
    with ThreadPoolExecutor(3) as pool:
        for number in range(RACES):
            place = box.prepare(f"resetd.{number}")
            given_up = pool.submit(box.run, "give_up", *place)
            launches = [pool.submit(box.launch, place, "echo", "ran") for _ in range(2)]
            assert [launch.result().returncode for launch in launches] == [0, 0]
            claim = given_up.result().stdout.strip()
            assert output_of(box.follow(place)) == (b"" if claim == b"given-up" else b"ran\n")


def test_prepare_takes_the_first_base_that_takes_a_file(box: Box, tmp_path: Path) -> None:
    place = box.prepare()
    assert place[0] == f"{tmp_path}/resetd.1"
    assert Path(place[0]).stat().st_mode & 0o777 == 0o700
    assert list(Path(place[0]).iterdir()) == []
    box.base = tmp_path / "missing"
    other = box.run("prepare", f"resetd.{tmp_path.name}.x").stdout.decode().splitlines()[0]
    assert other == f"/tmp/resetd.{tmp_path.name}.x"
    Path(other).rmdir()


def test_prepare_does_not_take_what_somebody_else_put_there(box: Box, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"resetd.{tmp_path.name}").symlink_to(tmp_path / "elsewhere")
    directory = box.prepare(f"resetd.{tmp_path.name}")[0]
    assert directory == f"/tmp/resetd.{tmp_path.name}"
    Path(directory).rmdir()


@pytest.mark.parametrize("script", ["launch", "give_up", "follow", "sweep"])
def test_another_incarnation_and_a_missing_directory_are_refused(box: Box, script: Script) -> None:
    directory, incarnation = box.prepare()
    rest = {"launch": ["resetd:s", "0", "true"], "follow": ["0", "9", "9"], "sweep": [MARKER, "gone"]}.get(
        script, []
    )
    assert box.run(script, directory, "1-other", *rest).returncode == Refusal.OTHER_INCARNATION
    assert box.run(script, directory + ".no", incarnation, *rest).returncode == Refusal.NO_DIRECTORY
    assert list(Path(directory).iterdir()) == []


def test_the_command_has_the_exports_the_directory_and_the_umask_that_the_exec_had(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "sh", "-c", 'echo "$s $state $RESETD_ATTEMPT $(umask) $(pwd) $#"', s="1", state="2")
    umask = box.program("sh", "-c", "umask").stdout.decode().strip()
    expected = f"1 2 {MARKER} {umask} {Path.cwd()} 0\n"
    assert output_of(box.follow(place)).decode() == expected


def test_input_that_was_cut_off_launches_nothing(box: Box) -> None:
    place = box.prepare()
    done = box.run("launch", *place, "resetd:s", "10", "cat", stdin=b"half")
    assert done.returncode == Refusal.NOT_WRITABLE
    assert not box.follow(place, life=0)[0].started


def test_output_comes_in_bounded_looks_from_any_offset(box: Box) -> None:
    place = box.prepare()
    data = bytes(range(256)) * 40
    (box.base / "data").write_bytes(data)
    box.launch(place, "cat", str(box.base / "data"))
    for offset in (0, 1, 5000, len(data)):
        observations = box.follow(place, offset, bound=1000)
        assert output_of(observations) == data[offset:]
        assert all(len(seen.log) <= 1000 for seen in observations)
        assert [seen.exit_code for seen in observations if seen.exit_code is not None] == [0]


def test_a_killed_wrapper_is_interrupted_and_its_child_is_not_gone(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "sh", "-c", "echo up; while :; do sleep 0.1; done")
    until(lambda: output_of(box.follow(place, life=0)) == b"up\n")
    box.program("kill", "-9", str(box.claim(place)[0]))
    last = box.follow(place)[-1]
    assert (last.started, last.alive, last.exit_code) == (True, False, None)
    assert box.gone(place).stdout.startswith(b"left")
    box.stop(place, "KILL")
    until(lambda: box.gone(place).stdout == b"gone\n")


def test_a_child_in_a_session_of_its_own_is_found_by_its_marker(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "setsid", "sleep", "1000")
    until(lambda: box.follow(place, life=0)[-1].started)
    assert box.gone(place).stdout.startswith(b"left")
    box.stop(place, "TERM")
    until(lambda: box.gone(place).stdout == b"gone\n")


def test_term_is_answered_by_the_commands_own_exit_code(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "sh", "-c", 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.1; done')
    until(lambda: output_of(box.follow(place, life=0)) == b"up\n")
    box.stop(place, "TERM")
    observations = box.follow(place)
    # The first TERM goes to the group, so a shell may also report its killed sleep.
    assert observations[-1].exit_code == 5
    assert output_of(observations).endswith(b"bye\n")


def test_a_child_that_ignores_term_needs_kill(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "sh", "-c", 'trap "" TERM; echo up; while :; do sleep 0.1; done')
    until(lambda: output_of(box.follow(place, life=0)) == b"up\n")
    box.stop(place, "TERM")
    assert box.gone(place).stdout.startswith(b"left")
    box.stop(place, "KILL")
    until(lambda: box.gone(place).stdout == b"gone\n")


def test_a_process_whose_environment_can_not_be_read_leaves_it_open(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "true")
    box.follow(place)
    # As setproctitle does: the environment holds nothing that looks like one.
    stranger = box.spawn(["env", "-i", str(shutil.which("sleep")), "1000"])
    until(lambda: len(box.living()) == 1)
    (number,) = box.living()
    answer = box.gone(place)
    assert (answer.returncode, answer.stdout) == (Refusal.UNSURE, f"unsure {number}\n".encode())
    box.program("kill", number)
    stranger.wait()
    assert box.gone(place).stdout == b"gone\n"


def test_a_zombie_is_neither_alive_nor_left(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "sleep", "1000")
    until(lambda: box.follow(place, life=0)[-1].alive)
    wrapper = box.claim(place)[0]
    box.stop(place, "KILL")
    assert " Z " in box.program("cat", f"/proc/{wrapper}/stat").stdout.decode()
    last = box.follow(place)[-1]
    assert (last.alive, last.exit_code) == (False, None)
    assert box.gone(place).stdout == b"gone\n"


def test_a_follower_ends_with_its_stream(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "sleep", "1000")
    # The launch answers once it is claimed, which is before the command itself is there.
    until(lambda: len(box.living()) == 2)
    before = box.living()
    follower = box.following(place)
    assert follower.stdout is not None
    follower.stdout.readline()
    follower.stdout.close()
    assert follower.wait(20) == 0
    assert box.living() == before


def test_a_follower_ends_after_its_time_and_leaves_nothing(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "sleep", "1000")
    # The launch answers once it is claimed, which is before the command itself is there.
    until(lambda: len(box.living()) == 2)
    before = box.living()
    assert box.following(place, life=1).wait(20) == 0
    assert box.living() == before


def test_a_follower_whose_stream_nobody_reads_is_ended_from_outside(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "head", "-c", "1000000", "/dev/zero")
    # Thirty seconds of grace, of which this test does not wait: life is what is left of them.
    until(lambda: box.follow(place, life=0)[-1].exit_code == 0)
    assert box.following(place, life=-29).wait(20) in {-signal.SIGKILL, 128 + signal.SIGKILL}
    until(lambda: not box.living())


def test_a_follower_sees_the_launch_that_comes_after_it(box: Box) -> None:
    place = box.prepare()
    follower = box.following(place)
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"look - 0 - 0 0\n"
    box.launch(place, "echo", "late")
    assert b"late\n" in follower.stdout.read()
    assert follower.wait(20) == 0


def test_one_look_tells_of_many_commands_in_the_order_in_which_they_were_asked_about(box: Box) -> None:
    ended, running, idle = (box.prepare(f"resetd.{name}") for name in ("ended", "running", "idle"))
    box.launch(ended, "sh", "-c", "printf 0123456789; exit 7")
    box.launch(running, "sh", "-c", "echo here; sleep 1000")
    until(lambda: Path(ended[0], "exit").is_symlink() and Path(running[0], "log").stat().st_size)
    told = f"4 {ended[0]}\n0 {running[0]}\n0 {idle[0]}\n"
    done = box.run("poll", "3", ended[1], "4", stdin=told.encode())
    assert done.returncode == 0
    more, here, nothing = FrameDecoder().feed(done.stdout)
    # More than one look brings: its end is not told before all of its output is.
    assert (more.log, more.offset, more.exit_code, more.alive) == (b"4567", 4, None, True)
    assert (here.log, here.started, here.alive) == (b"here", True, True)
    assert (nothing.log, nothing.started, nothing.exit_code) == (b"", False, None)
    (last,) = FrameDecoder().feed(box.run("poll", "1", "", "4", stdin=f"8 {ended[0]}\n".encode()).stdout)
    assert (last.log, last.exit_code, last.alive) == (b"89", 7, False)
    box.stop(running, "KILL")


def test_a_look_goes_as_far_as_the_first_command_that_has_no_directory(box: Box) -> None:
    place = box.prepare()
    told = f"0 {place[0]}\n0 {place[0]}.no\n0 {place[0]}\n".encode()
    done = box.run("poll", "3", place[1], "4", stdin=told)
    assert done.returncode == Refusal.NO_DIRECTORY
    assert len(FrameDecoder().feed(done.stdout)) == 1
    done = box.run("poll", "1", "1-other", "4", stdin=told)
    assert (done.returncode, done.stdout) == (Refusal.OTHER_INCARNATION, b"")


def test_sessions_are_named_after_the_attempt_unless_the_container_names_them(box: Box) -> None:
    for variables, name in (({}, "resetd:s"), ({"PGAPPNAME": "own"}, "own")):
        place = box.prepare(f"resetd.{len(variables)}")
        box.launch(place, "sh", "-c", "echo $PGAPPNAME", **variables)  # type: ignore[arg-type]
        assert output_of(box.follow(place)).decode() == f"{name}\n"


HEAD, MOST = 239 * 65536, 16 * 1024 * 1024
LINES = "i=0; while [ $i -lt 60 ]; do head -c 1000000 /dev/zero | tr '\\0' x; echo; i=$((i + 1)); done"
FLOOD = f"{LINES}; echo end; exit 3"


def test_h4_a_flood_is_bounded_and_its_beginning_and_its_end_are_kept(box: Box) -> None:
    place = box.prepare()
    box.launch(place, "sh", "-c", FLOOD)
    until(lambda: Path(place[0], "exit").is_symlink(), 60)
    assert Path(place[0], "log").stat().st_size <= MOST
    assert sum(path.stat().st_size for path in Path(place[0]).iterdir() if path.is_file()) < MOST + 200_000
    observations = box.follow(place, bound=1_000_000)
    output = output_of(observations)
    assert observations[-1].exit_code == 3
    assert output.startswith(b"x" * 1_000_000 + b"\n")
    assert b"\n[resetd: about 4" in output
    assert b" MB of output were left out here]\n" in output
    # The line before the last is longer than what is kept of the end, so that its rest is left out as well.
    assert output.endswith(b"here]\nend\n")
    assert box.gone(place).stdout == b"gone\n"


def test_h4_a_command_that_floods_on_and_on_is_bounded_while_it_runs(box: Box) -> None:
    place = box.prepare()
    quiet = box.base / "quiet"
    flood = "until [ -e $0 ]; do head -c 9000000 /dev/zero; sleep 0.2; done; sleep 1000"
    box.launch(place, "sh", "-c", flood, str(quiet))
    log = Path(place[0], "log")
    until(lambda: log.exists() and log.stat().st_size > MOST)
    until(lambda: log.stat().st_size < MOST)
    quiet.touch()
    until(lambda: b"left out here" in log.read_bytes()[HEAD:] and log.stat().st_size < MOST)
    # What is told while it runs stands for good.
    seen = box.follow(place, bound=10_000_000, life=0)
    assert seen[-1].alive
    assert len(output_of(seen)) == HEAD
    told = f"{HEAD - 10} {place[0]}\n".encode()
    (polled,) = FrameDecoder().feed(box.run("poll", "1", place[1], "4096", stdin=told).stdout)
    assert (len(polled.log), polled.alive) == (10, True)
    box.stop(place, "KILL")
    until(lambda: box.gone(place).stdout == b"gone\n")
    last = box.follow(place, HEAD - 10, bound=1_000_000)
    assert (last[-1].alive, last[-1].exit_code) == (False, None)
    assert b" MB of output were left out here]\n" in output_of(last)


def test_h4_the_keepers_death_changes_neither_the_command_nor_its_exit_code(box: Box) -> None:
    place = box.prepare()
    box.launch(
        place, "sh", "-c", "until [ -e $0 ]; do sleep 0.05; done; echo done; exit 5", str(box.base / "go")
    )
    until(lambda: output_of(box.follow(place, life=0)) == b"" and box.claim(place))
    wrapper = str(box.claim(place)[0])
    look = f"cat /proc/[0-9]*/stat | while read -r n c s p r; do [ $p = {wrapper} ] && echo $n; done"
    children = box.program("sh", "-c", look).stdout.decode().split()
    (keeper,) = [child for child in children if box._forked(child)]
    box.program("kill", "-9", keeper)
    (box.base / "go").touch()
    observations = box.follow(place)
    assert (observations[-1].exit_code, output_of(observations)) == (5, b"done\n")


def test_h4_no_part_of_a_line_is_left_where_something_was_cut(box: Box) -> None:
    place = box.prepare()
    line = "password-" + "s" * 90
    box.launch(
        place,
        "sh",
        "-c",
        f"i=0; while [ $i -lt 4 ]; do yes {line} | head -c 9000000; i=$((i + 1)); done; echo",
    )
    until(lambda: Path(place[0], "exit").is_symlink(), 60)
    output = output_of(box.follow(place, bound=1_000_000))
    before, _, after = output.partition(b"\n[resetd: ")
    assert before.splitlines()[-1] == line.encode()
    assert after.splitlines()[1] == line.encode()


def test_h4_a_recorded_commands_output_is_removed_and_it_can_not_start_again(box: Box) -> None:
    ended, running, given_up = (box.prepare(f"resetd.{name}") for name in ("ended", "running", "given-up"))
    box.launch(ended, "cat", stdin=b"told")
    box.launch(running, "sh", "-c", "echo here; sleep 1000")
    box.run("give_up", *given_up)
    until(lambda: Path(ended[0], "exit").is_symlink() and Path(running[0], "log").stat().st_size)
    missing = ended[0] + ".missing"
    done = box.run("discard", ended[1], ended[0], running[0], missing, given_up[0])
    assert done.returncode == 0, done
    assert {path.name for path in Path(ended[0]).iterdir()} == {"claim", "exit"}
    assert Path(running[0], "log").read_text() == "here\n"
    box.launch(ended, "echo", "again")
    last = box.follow(ended)[-1]
    assert (last.exit_code, last.log) == (0, b"")
    box.launch(given_up, "echo", "again")
    assert box.follow(given_up)[-1].given_up
    assert box.run("discard", "1-other", ended[0]).returncode == Refusal.OTHER_INCARNATION
    box.stop(running, "KILL")
