"""Failpoints: a daemon dies (SIGKILL) or sleeps (SIGSTOP) right before or right after a chosen commit of its store.

Between the decision to commit and the commit, and between the commit and what follows it, nothing else of the process
runs. At these moments a daemon that records too late or acts too early gives itself away.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store

VARIABLE = "TORTURE_MISHAP"
"""The variable with the failpoint: `ACT:WHEN:N`. ACT is `kill` or `stop`, WHEN `before` or `after`, and N the number of
the commit since the process started, or `launch`: the commit that records an attempt which is about to be launched."""
EACH = "TORTURE_EACH"
"""The variable with a file of one line for each point at which a daemon died; it dies once at each other point."""

STATES = "TORTURE_STATES"
"""The variable with a directory. A file `after-STATE` in it means: the daemon dies right after the commit that puts a
reset into STATE. The file is removed first, so the next start comes past that point."""

COMMITS = ("take_in", "admit", "append_act", "claim", "release_all", "save", "lock", "remember_protected")
_LAUNCH = "launch"
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def from_environment(environment: Mapping[str, str]) -> Callable[[Store], Store]:
    """What `serve(store_as=...)` puts in front of the store, by these variables."""
    if path := environment.get(EACH):
        return lambda store: cast("Store", _Watched(store, _EachOnce(Path(path))))
    if said := environment.get(VARIABLE):
        return lambda store: cast("Store", _Watched(store, _Once(*said.split(":"))))
    if directory := environment.get(STATES):
        return lambda store: cast("Store", _Watched(store, _AtStates(Path(directory))))
    return lambda store: store


class _Once:
    """One failpoint in the life of the process."""

    def __init__(self, act: str, when: str, which: str) -> None:
        self._signal = _SIGNALS[act]
        self._when = when
        self._launch = which == _LAUNCH
        self._left = 1 if self._launch else int(which)

    def before(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Called right before a commit; returns whether it is the chosen one, which may end after later ones."""
        if name not in COMMITS or not self._left or (self._launch and not _records_a_launch(name, arguments)):
            return False
        self._left -= 1
        if self._left == 0 and self._when == "before":
            os.kill(os.getpid(), self._signal)
        return self._left == 0

    def after(self, name: str, arguments: tuple[Any, ...], result: object, *, met: bool) -> None:  # noqa: ARG002 - one of two forms
        """Called right after the commit; `met` is what `before` returned."""
        if met and self._when == "after":
            os.kill(os.getpid(), self._signal)


class _EachOnce:
    """A death before and after each commit of a reset, each once over all starts that share the file.

    A `save` is known by the version that it writes, any other commit by its number among those of its name. A commit
    without progress is a point only right after a `save`: three claims in a row without progress call a person.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._died = path.read_text().split() if path.exists() else []

    def before(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Called right before a commit; every commit is looked at."""
        self._die("before", name, arguments)
        return True

    def after(self, name: str, arguments: tuple[Any, ...], result: object, *, met: bool) -> None:
        """Called right after the commit; a claim that claimed nothing is no point."""
        if not met or (name == "claim" and not result):
            return
        self._die("after", name, arguments)

    def _die(self, when: str, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "save":
            point = f"{when}:save:{cast('Change', arguments[0]).reset.version + 1}"
        elif name in _OTHERS and (name == "take_in" or self._progressed()):
            died = sum(point.startswith(f"{when}:{name}:") for point in self._died)
            point = f"{when}:{name}:{died + 1}"
            if died >= _OTHERS[name]:
                return
        else:
            return
        if point in self._died:
            return
        with self._path.open("a") as file:
            file.write(point + "\n")
        os.kill(os.getpid(), signal.SIGKILL)

    def _progressed(self) -> bool:
        return bool(self._died) and self._died[-1].startswith("after:save:")


class _AtStates:
    """A death right after each commit that puts a reset into a state for which a file asks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def before(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Called right before a commit; returns whether it may put a reset into a state."""
        return name == "take_in" or (name == "save" and bool(cast("Change", arguments[0]).history))

    def after(self, name: str, arguments: tuple[Any, ...], result: Any, *, met: bool) -> None:  # noqa: ANN401, ARG002 - of any commit
        """Called right after the commit; `met` is what `before` returned."""
        if not met:
            return
        for reset in [result] if name == "save" else [admission.reset for admission in result]:
            wanted = self._directory / f"after-{reset.state.value}"
            if wanted.exists():
                wanted.unlink()
                os.kill(os.getpid(), signal.SIGKILL)


_OTHERS = {"claim": 2, "published": 10, "take_in": 1, "lock": 1}
"""How often a daemon dies before, and after, commits of each name that is no `save`."""


def _records_a_launch(name: str, arguments: tuple[Any, ...]) -> bool:
    if name != "save":
        return False
    change = cast("Change", arguments[0])
    return any(attempt.control is not None and attempt.outcome is None for attempt in change.attempts)


class _Watched:
    """A store in front of the real one, which calls the failpoint before and after each commit."""

    def __init__(self, store: Store, failpoint: _Once | _EachOnce | _AtStates) -> None:
        self._store = store
        self._failpoint = failpoint

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        found = getattr(self._store, name)
        if name not in COMMITS and name != "published":
            return found
        method = cast("Callable[..., Awaitable[Any]]", found)

        async def watched(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
            met = self._failpoint.before(name, arguments)
            result = await method(*arguments, **named)
            self._failpoint.after(name, arguments, result, met=met)
            return result

        return watched
