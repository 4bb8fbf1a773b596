"""What happens in the demo, in order, and the evidence of it, from which the verdict is made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from sandbox.daemon_process import DaemonProcess
from sandbox.demo.screen import Screen
from sandbox.events import Publisher
from sandbox.journal import Journal
from sandbox.platform.platform import Platform
from sandbox.polling import until
from sandbox.services.contents import Contents
from sandbox.services.standins.controls import Control
from schemas.publish import EnvironmentProvisioned, ResetRequested

FIRST = "qa-sandbox"
SECOND = "acme-sandbox"
KILLED_IN = "seed.los-core-api.system"
SEED_SECONDS = 4.0
"""How long the seed takes in which the daemon is killed and started again."""
WITHIN = 150.0
_STORY_POLL_SECONDS = 0.1
T = TypeVar("T")
_STOPPED = {"rejected", "denied", "failed", "needs-operator", "cancelled"}


class StoryError(RuntimeError):
    """Something did not happen in time, or a reset stopped."""


@dataclass
class Evidence:
    """What the verdict is made of: the daemon's claims, and what others saw."""

    resets: list[dict[str, Any]] = field(default_factory=list)
    """The resets as the API shows them at the end, with steps and attempts."""
    plans: list[dict[str, Any]] = field(default_factory=list)
    backups: list[dict[str, Any]] = field(default_factory=list)
    backup_root: Path = Path()
    before: dict[str, Contents] = field(default_factory=dict)
    after: dict[str, Contents] = field(default_factory=dict)
    refs_before: dict[str, str] = field(default_factory=dict)
    refs_after: dict[str, str] = field(default_factory=dict)
    journal: Journal = field(default_factory=lambda: Journal(()))
    killed_while_running: bool = False
    """Whether the witness saw the seed run while the daemon was dead."""
    seed_process: int | None = None
    """This machine's number of the seed's process, before the kill."""
    waited_for_argocd: bool = False
    seconds: float = 0.0
    error: str | None = None


async def tell(directory: Path, screen: Screen) -> Evidence:
    """Play the story and return the evidence; an error ends the story early and is part of the evidence."""
    evidence = Evidence(backup_root=directory / "resetd" / "backups")
    began = time.monotonic()
    screen.chapter("The platform: Kafka, PostgreSQL, Kubernetes, GitHub, six services")
    async with Platform.start(directory / "platform", environments=[FIRST], say=screen.say) as platform:
        daemon = DaemonProcess(directory / "resetd", platform.environment())
        try:
            await _play(platform, daemon, screen, evidence)
        except (StoryError, httpx.HTTPError, RuntimeError) as error:
            evidence.error = f"{error}"
        finally:
            evidence.journal = platform.journal_reader()
            daemon.stop()
    evidence.seconds = time.monotonic() - began
    return evidence


async def _play(platform: Platform, daemon: DaemonProcess, screen: Screen, evidence: Evidence) -> None:
    daemon.start()
    daemon.wait_ready()
    screen.say(f"resetd serves on {daemon.url} (process {daemon.pid})")
    await _leave_dirt(platform, screen, evidence)
    publisher = Publisher(platform.bootstrap, source="/demo")

    screen.chapter(f"An event on Kafka asks for a reset of {FIRST}")
    platform.control(FIRST, "los-core-api", **{"seed:system": Control(seconds=SEED_SECONDS)})
    publisher.publish(ResetRequested(environment=FIRST, requested_by="demo", reason="the demo"))
    with screen.progress():
        await _kill_in_the_middle(platform, daemon, screen, evidence)
        first = await _until_done(daemon, f"{FIRST}/1", screen)
    evidence.after = platform.contents(FIRST)
    evidence.refs_after = await platform.github.refs("qa-workflows")

    screen.chapter(f"{SECOND} is provisioned; its reset waits until ArgoCD says Healthy")
    provisioning = asyncio.create_task(platform.provision(SECOND))
    publisher.publish(EnvironmentProvisioned(environment=SECOND, provisioned_by="pipeline"))
    try:
        with screen.progress():
            second = await _until_done(daemon, f"{SECOND}/1", screen, evidence)
    finally:
        await provisioning
    with daemon.client() as client:
        for reset in (first, second):
            evidence.resets.append(client.get(f"/api/v1/resets/{reset['id']}").json())
            evidence.plans.append(client.get(f"/api/v1/resets/{reset['id']}/plan").json())
        evidence.backups = client.get("/api/v1/backups").json()


async def _leave_dirt(platform: Platform, screen: Screen, evidence: Evidence) -> None:
    platform.dirty(FIRST)
    for number in (1, 2):
        await platform.github.push("qa-workflows", {f"users/{number}.json": "{}"}, message="a user's change")
    evidence.before = platform.contents(FIRST)
    evidence.refs_before = await platform.github.refs("qa-workflows")
    screen.say("people left data in every database, and commits on qa-workflows")


async def _kill_in_the_middle(
    platform: Platform, daemon: DaemonProcess, screen: Screen, evidence: Evidence
) -> None:
    """Kill the daemon while the seed runs, and start it again while the seed still runs."""

    def seed() -> int | None:
        for launch in platform.journal_reader().outermost():
            step = (launch.attempt or "").partition("/")[2]
            if launch.running and step.startswith(f"{KILLED_IN}/"):
                return launch.host_pid
        return None

    def seed_runs() -> int | None:
        if (process := seed()) is None:
            _look(daemon, f"{FIRST}/1", screen)
        return process

    evidence.seed_process = await _until(seed_runs, f"{KILLED_IN} runs", daemon)
    screen.say(f"[bold red]SIGKILL[/bold red] to resetd (process {daemon.pid}) in the middle of {KILLED_IN}")
    daemon.kill()
    evidence.killed_while_running = seed() == evidence.seed_process
    screen.say(f"the seed runs on without it (process {evidence.seed_process})")
    daemon.start()
    daemon.wait_ready()
    screen.say(
        f"resetd was started again (process {daemon.pid}); it finds the seed, and launches nothing twice"
    )


async def _until_done(
    daemon: DaemonProcess, reference: str, screen: Screen, evidence: Evidence | None = None
) -> dict[str, Any]:
    """Wait until a reset is done, and show its steps meanwhile.

    Raises:
        StoryError: the reset stopped, or takes too long.
    """

    def done() -> dict[str, Any] | None:
        reset = _look(daemon, reference, screen)
        if reset is None:
            return None
        waiting = (reset.get("waitingFor") or {}).get("reason")
        if evidence is not None and waiting in {"argocd", "facts"} and not evidence.waited_for_argocd:
            evidence.waited_for_argocd = True
            screen.say(f"it waits: {reset['waitingFor']['detail'][:100]}")
        if reset["state"] in _STOPPED:
            raise StoryError(f"{reference} is {reset['state']}: {reset['cause']} {reset['detail']}")
        return reset if reset["state"] == "done" else None

    return await _until(done, f"{reference} is done", daemon)


async def _until(look: Callable[[], T | None], what: str, daemon: DaemonProcess) -> T:
    found = await until(look, within=WITHIN, every=_STORY_POLL_SECONDS)
    if found is None:
        end = daemon.last_lines(5)
        raise StoryError(f"not within {WITHIN:g} s: {what}; the daemon's log ends with {end}")
    return found


def _look(daemon: DaemonProcess, reference: str, screen: Screen) -> dict[str, Any] | None:
    with daemon.client() as client:
        answer = client.get(f"/api/v1/resets/{reference}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    reset: dict[str, Any] = answer.raise_for_status().json()
    screen.reset(reset)
    return reset
