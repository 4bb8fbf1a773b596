"""How long a reset took and what it spent its time on, beside the same commands typed with kubectl."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.integration.by_hand.stage import Typed

_KUBECTL = shutil.which("kubectl") or "kubectl"


@dataclass(frozen=True)
class Kubectl:
    """A person at a terminal: `kubectl exec`, one command after another."""

    kubeconfig: str
    environment: str

    def pods(self) -> dict[str, str]:
        """The name of each service's pod."""
        named = (
            "jsonpath={range .items[*]}{.metadata.labels.app\\.kubernetes\\.io/name} {.metadata.name}\n{end}"
        )
        lines = self._run("get", "pods", "-o", named).splitlines()
        return dict(line.split() for line in lines if line)

    def type(self, typed: Typed) -> dict[tuple[str, str], float]:
        """Seconds of each command, summed where it is typed more than once. Every one has to succeed."""
        pods = self.pods()
        seconds: dict[tuple[str, str], float] = defaultdict(float)
        for service, text in typed:
            began = time.monotonic()
            self._run("exec", pods[service], "--", "sh", "-c", text)
            seconds[service, text] += time.monotonic() - began
        return dict(seconds)

    def scale(self, replicas: int) -> None:
        """Scale all Deployments, and wait until their pods are gone, or ready."""
        self._run("scale", "deployments", "--all", f"--replicas={replicas}")
        if replicas:
            self._run("rollout", "status", "deployments", "--timeout=110s")
        else:
            self._run("wait", "pods", "--all", "--for=delete", "--timeout=110s")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [_KUBECTL, "--kubeconfig", self.kubeconfig, "-n", self.environment, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


@dataclass(frozen=True)
class Spent:
    """Where the seconds of one reset went. Kinds of steps may overlap, as handshakes and backups do."""

    whole: float
    kinds: dict[str, float]
    """Seconds in which a step of that kind was under way: `backup`, `handshake`, `command`, `verify`, `git`; and
    `between steps`: proofs that are shown again, and looks before a launch."""
    states: dict[str, float]
    """Seconds in each state."""
    commands: dict[str, float]
    """Seconds of each step that ran a command."""


def spent(reset: dict[str, Any], history: list[dict[str, Any]]) -> Spent:
    """Read a finished reset as the API shows it, and its history."""
    of_kind: dict[str, list[tuple[float, float]]] = defaultdict(list)
    commands: dict[str, float] = defaultdict(float)
    for attempt in reset["attempts"]:
        span = (_moment(attempt["startedAt"]), _moment(attempt["finishedAt"]))
        kind = _kind(attempt)
        of_kind[kind].append(span)
        if kind == "command":
            commands[attempt["step"]] += span[1] - span[0]
    marks = [(_moment(entry["at"]), entry["data"]["state"]) for entry in history]
    states: dict[str, float] = defaultdict(float)
    for (began, state), (ended, _) in pairwise(marks):
        states[state] += ended - began
    kinds = {kind: _union(spans) for kind, spans in of_kind.items()}
    everything = [span for spans in of_kind.values() for span in spans]
    first, last = min(began for began, _ in everything), max(ended for _, ended in everything)
    # Proofs that are shown again, and looks at databases, come before an attempt is recorded.
    kinds["between steps"] = last - first - _union(everything)
    return Spent(
        whole=marks[-1][0] - _moment(reset["createdAt"]),
        kinds=kinds,
        states=dict(states),
        commands=dict(commands),
    )


def _kind(attempt: dict[str, Any]) -> str:
    if attempt["control"]:
        return "command"
    step = str(attempt["step"])
    return "handshake" if step.startswith("backup.handshake.") else step.partition(".")[0]


def _union(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in which at least one was under way."""
    total, until = 0.0, float("-inf")
    for began, ended in sorted(spans):
        total += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return total


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
