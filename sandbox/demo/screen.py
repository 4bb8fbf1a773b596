"""What a person sees while the demo runs: headings, and one line for each step of a reset when it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_MARKS = {
    "succeeded": ("✔", "green"),
    "failed": ("✘", "red"),
    "unknown": ("?", "red"),
    "skipped": ("-", "dim"),
}


class Screen:
    """Prints the demo; on a terminal it redraws a line with the progress."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._shown: dict[tuple[str, str], tuple[str, int]] = {}
        self._live: Live | None = None

    def chapter(self, title: str) -> None:
        """Print a heading."""
        self.console.print()
        self.console.print(Rule(f"[bold]{title}", align="left", style="cyan"))

    def say(self, text: str) -> None:
        """Print a line with the time since the beginning."""
        self.console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/dim]  {text}", highlight=False)

    @contextmanager
    def progress(self) -> Iterator[None]:
        """Show the phase and steps of a running reset, redrawn on a terminal."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=8, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def reset(self, reset: dict[str, Any]) -> None:
        """Show what the API says of a reset now: a line for each step that has ended since the last call."""
        for step in reset["steps"]:
            key = (reset["id"], step["name"])
            now = (step["state"], step["attempts"])
            if step["state"] in _MARKS and self._shown.get(key) != now:
                self._shown[key] = now
                mark, colour = _MARKS[step["state"]]
                code = (step.get("outcome") or {}).get("exitCode")
                ended = f"exit code {code}" if code is not None else step["state"]
                self.say(f"[{colour}]{mark}[/{colour}] {step['name']}  [dim]{ended}[/dim]")
        if self._live is not None:
            self._live.update(_panel(reset))


def _panel(reset: dict[str, Any]) -> Group:
    steps = reset["steps"]
    done = sum(step["state"] in {"succeeded", "skipped"} for step in steps)
    running = [step["name"] for step in steps if step["state"] == "running"]
    waiting = (reset.get("waitingFor") or {}).get("detail")
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        Spinner("dots"),
        Text(f"{reset['environment']}/{reset['number']}", style="bold"),
        Text(reset["state"], style="cyan"),
        ProgressBar(total=max(len(steps), 1), completed=done, width=30),
        Text(f"{done}/{len(steps)}"),
        Text(", ".join(running)[:60] or waiting or "", style="dim"),
    )
    return Group(grid)
