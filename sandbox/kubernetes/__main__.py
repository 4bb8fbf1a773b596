"""`python -m sandbox.kubernetes`: the Kubernetes API double as a process.

Prints one JSON line once it serves: `{"ready": true, "pid": ..., "port": ..., "url": ..., "kubeconfig": PATH,
"namespaces": BOOL, "environments": [...]}`. Started again on the same directory it takes the same port, tokens and
objects, and finds its containers. SIGTERM ends it and every container; so does the end of the process `--life-pid`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from sandbox.faults.armoury import Armoury
from sandbox.fleet import FLEET
from sandbox.kubernetes.api import certificates
from sandbox.kubernetes.api.access import DAEMON, Access
from sandbox.kubernetes.api.server import Server, listen
from sandbox.kubernetes.api.streams.exec import Streams
from sandbox.kubernetes.controllers import control_loop
from sandbox.kubernetes.controllers.argocd import ArgoCD
from sandbox.kubernetes.controllers.environments import Environments, Git
from sandbox.kubernetes.faults.daemon_requests import DaemonRequestFaults
from sandbox.kubernetes.node.kubelet import Kubelet
from sandbox.kubernetes.node.node import Node
from sandbox.kubernetes.node.pod_specs import StandInPaths
from sandbox.kubernetes.node.runtime import Runtime, namespaces_mode
from sandbox.kubernetes.objects.objects import Objects

PROJECT = Path(__file__).resolve().parents[2]


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.kubernetes", description=__doc__)
    add = parser.add_argument
    add("--directory", type=Path, required=True, help="state, kubeconfig, containers")
    add("--images", type=Path, required=True, help="one directory for each service")
    add("--environment-file", type=Path, required=True, help="{environment: {service: {VAR: value}}}")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0: the one of the last start, or any free one")
    add("--journal", type=Path, help="unix socket that the stand-ins report to (SANDBOX_JOURNAL)")
    add("--controls", type=Path, help="directory that tells stand-ins how to behave (SANDBOX_CONTROLS)")
    add("--faults", type=Path, help="directory of the armed faults; default: DIRECTORY/faults")
    add("--life-pid", type=int, help="containers end with this process; default: our parent")
    add("--environments", help="names, separated by commas; default: all of the fleet with variables")
    add("--parallel-starts", type=int, default=4, help="start scripts at the same time")
    return parser.parse_args(argv)


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, SIGINT, or the end of the life process."""
    directory: Path = options.directory.resolve()
    (directory / "containers").mkdir(parents=True, exist_ok=True)
    life = os.pidfd_open(options.life_pid or os.getppid())
    runtime = _runtime(options, directory, life)
    objects = Objects(directory / "objects.sqlite3")
    git = Git(directory / "git")
    environments = Environments(objects, git, runtime, options.environment_file)
    environments.prepare_cluster()
    names = _environments(options)
    for name in names:
        environments.provision(name)
    starts = asyncio.Semaphore(options.parallel_starts)
    node = Node(objects, runtime, StandInPaths(options.journal, options.controls), starts)
    kubelet = Kubelet(node)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def end_of_life() -> None:
        loop.remove_reader(life)
        stop.set()

    loop.add_reader(life, end_of_life)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    context = certificates.ensure(directory)
    access = Access()
    armoury = Armoury((options.faults or directory / "faults").resolve())
    faults = DaemonRequestFaults(armoury, kubelet, DAEMON)
    server = Server(objects, access, Streams(node), environments.provision, faults)
    runner, port = await listen(server.application(), options.host, _port(options), context)
    (directory / "port").write_text(str(port))
    url = f"https://{options.host}:{port}"
    access.write(directory, url)
    await faults.recover()
    working = [
        asyncio.create_task(kubelet.run(), name="kubelet"),
        asyncio.create_task(control_loop.run(objects, ArgoCD(objects, git, loop.time)), name="controllers"),
    ]
    for task in working:
        # A double without its controllers would only look alive.
        task.add_done_callback(lambda _: stop.set())
    ready = {
        "ready": True,
        "pid": os.getpid(),
        "port": port,
        "url": url,
        "kubeconfig": str(directory / "kubeconfig"),
        "namespaces": runtime.mode != "none",
        "environments": names,
    }
    print(json.dumps(ready), flush=True)  # noqa: T201 - the ready line is this process's protocol
    await stop.wait()
    failed = [task.exception() for task in working if task.done() and not task.cancelled()]
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    await faults.close()
    node.kill_everything()
    await runner.cleanup()
    objects.close()
    for error in failed:
        if error is not None:
            raise error


def _runtime(options: argparse.Namespace, directory: Path, life: int) -> Runtime:
    """The container runtime; what stand-ins need on the disk stays visible inside of containers."""
    visible = [directory, options.images.resolve(), PROJECT, Path(sys.prefix), Path(sys.base_prefix)]
    if options.journal:
        visible.append(options.journal.resolve().parent)
    if options.controls:
        visible.append(options.controls.resolve())
    return Runtime(directory, options.images.resolve(), tuple(visible), life, namespaces_mode())


def _environments(options: argparse.Namespace) -> list[str]:
    if options.environments is not None:
        return [name for name in options.environments.split(",") if name]
    described = json.loads(options.environment_file.read_text())
    return [environment.name for environment in FLEET if environment.name in described]


def _port(options: argparse.Namespace) -> int:
    remembered = options.directory / "port"
    if options.port == 0 and remembered.exists():
        return int(remembered.read_text())
    return int(options.port)


def main() -> None:
    """Run the server."""
    options = arguments()
    if namespaces_mode() == "none":
        print(  # noqa: T201 - said loudly on purpose
            "WARNING: this machine refuses namespaces: containers share /proc, /tmp and /dev/shm",
            file=sys.stderr,
        )
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
