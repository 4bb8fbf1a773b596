"""The container runtime: it starts containers in their own namespaces, and finds them after a restart of the server."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.kubernetes.node.containers import Container

INIT = Path(__file__).with_name("init.py")
MODES = {
    "root": ["--mount", "--pid", "--fork"],
    "user": ["--user", "--map-root-user", "--mount", "--pid", "--fork"],
}
ENTER = {
    "root": ["--pid", "--mount"],
    "user": ["--user", "--preserve-credentials", "--pid", "--mount"],
}


def namespaces_mode() -> str:
    """How this machine lets namespaces be made: as `root`, as `user`, or `none` when it refuses both."""
    for mode, arguments in MODES.items():
        probe = ["unshare", *arguments, "--mount-proc", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
        with contextlib.suppress(OSError):
            if subprocess.run(probe, check=False, capture_output=True).returncode == 0:
                return mode
    return "none"


class ImageMissing(Exception):  # noqa: N818 - named for the state that it leads to
    """No directory holds the image."""


@dataclass(frozen=True)
class Runtime:
    """Starts containers and finds them again.

    Args:
        directory: The server's directory.
        images: Holds one directory for each service.
        keep: Paths that stay visible in containers although they lie under /tmp.
        life: A pidfd of the process that every container ends with.
        mode: One of `root`, `user`, `none`: see `namespaces_mode`.
    """

    directory: Path
    images: Path
    keep: tuple[Path, ...]
    life: int
    mode: str

    def _container(self, identifier: str, image_id: str) -> Container:
        directory = self.directory / "containers" / identifier
        return Container(identifier, directory, image_id, isolated=self.mode != "none")

    def image(self, name: str) -> tuple[Path, str]:
        """The directory of an image, which the last part of its reference names, and the image's id with its digest."""
        path = self.images / name.rpartition("/")[2].partition("@")[0].partition(":")[0]
        if not path.is_dir():
            raise ImageMissing(name)
        digest = hashlib.sha256()
        for file in sorted(path.rglob("*")):
            digest.update(f"{file.relative_to(path)}\0{file.lstat().st_mode}\0".encode())
            if file.is_file():
                digest.update(file.read_bytes())
        return path, f"{name.partition('@')[0].partition(':')[0]}@sha256:{digest.hexdigest()}"

    def default_command(self, image: Path) -> list[str]:
        """The command of an image when the pod names none: the production start script."""
        scripts = json.loads((image / "package.json").read_text())["scripts"]
        return ["npm", "run", "prod" if "prod" in scripts else "start:prod"]

    def prepare(self, image: str, pod_directory: Path) -> Container:
        """Make the directory of a new container, in which nothing runs yet.

        It copies the image, so it may be called in a thread.

        Raises:
            ImageMissing: there is no such image.
        """
        source, digest = self.image(image)
        identifier = secrets.token_hex(32)
        container = self._container(identifier, digest)
        container.directory.mkdir(parents=True)
        (container.directory / "stage").mkdir()
        shutil.copytree(source, container.app, symlinks=True)
        shm = pod_directory / "shm"
        shm.mkdir(parents=True, exist_ok=True)
        shm.chmod(0o1777)
        return container

    def launch(
        self,
        container: Container,
        pod_directory: Path,
        log: Path,
        command: Sequence[str],
        environment: Mapping[str, str],
        binds: Sequence[tuple[Path, str]],
    ) -> None:
        """Start PID 1 in its namespaces; `Container.up` waits until it is there."""
        spec = {
            "command": list(command),
            "cwd": str(container.app),
            "log": str(log),
            "state": str(container.directory / "state"),
            "exit": str(container.directory / "exit"),
            "namespaces": self.mode != "none",
            "life": self.life,
            "mount": shutil.which("mount"),
            "stage": str(container.directory / "stage"),
            "keep": self._kept(),
            "shm": str(pod_directory / "shm"),
            "binds": [[str(source), target] for source, target in binds],
        }
        (container.directory / "spec.json").write_text(json.dumps(spec))
        (container.directory / "environment.json").write_text(json.dumps(dict(environment)))
        wrapper = (
            []
            if self.mode == "none"
            else [shutil.which("unshare") or "unshare", *MODES[self.mode], "--kill-child"]
        )
        init = [sys.executable, "-I", "-S", str(INIT), str(container.directory / "spec.json")]
        container.wrapper = subprocess.Popen(
            [*wrapper, *init],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[self.life],
            start_new_session=True,
        )

    def _kept(self) -> list[str]:
        inside = sorted({str(path) for path in self.keep if str(path).startswith("/tmp/")})
        return [p for p in inside if not any(p.startswith(f"{other}/") for other in inside)]

    def find(self, identifier: str, image_id: str) -> Container:
        """A container that a former process of the server started; it may have ended since."""
        container = self._container(identifier, image_id)
        container.read_state()
        return container

    def remove(self, container: Container) -> None:
        """Delete what an ended container leaves on the disk."""
        shutil.rmtree(container.directory, ignore_errors=True)

    def sweep(self, known: set[str]) -> None:
        """Kill and delete the containers that no pod knows: a server was killed while it started them."""
        for directory in (self.directory / "containers").glob("*"):
            if directory.name not in known:
                stray = self.find(directory.name, "")
                stray.signal(signal.SIGKILL)
                self.remove(stray)

    def exec_command(self, container: Container, command: Sequence[str]) -> list[str]:
        """The argv that runs `command` in the container as a session of its own.

        `setsid` runs inside of the container, where a session that is led from outside shows process group 0.
        """
        setsid = shutil.which("setsid") or "setsid"
        if self.mode == "none":
            return [setsid, *command]
        nsenter = shutil.which("nsenter") or "nsenter"
        flags = ["--target", str(container.pid), *ENTER[self.mode], "--wd"]
        if container.read_only.exists():
            command = ["sh", "-c", 'cd "$0" && exec "$@"', str(container.app), *command]
        return [nsenter, *flags, setsid, *command]
