"""What happens to a daemon at a commit of its store: it dies (SIGKILL), or it sleeps (SIGSTOP), right before or after.

Between the decision to commit and the commit, and between the commit and whatever follows it, nothing else of the
process runs: these are the moments where a daemon that records too late, or acts too early, shows it.
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
"""`ACT:WHEN:N`: ACT `kill` or `stop`, WHEN `before` or `after`, N the number of the commit since the process started.
N may be `launch`: the commit that records an attempt which is about to be launched."""
EACH = "TORTURE_EACH"
"""A file with one line for each point where a daemon was killed already: it is killed once at each of the others."""

_OF_A_RESET = ("take_in", "admit", "append_act", "claim", "release_all", "save", "lock", "remember_protected")
_LAUNCH = "launch"
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def from_environment(environment: Mapping[str, str]) -> Callable[[Store], Store]:
    """What `serve(store_as=...)` is to put in front of the store."""
    if path := environment.get(EACH):
        return lambda store: cast("Store", _Watched(store, _EachOnce(Path(path))))
    if said := environment.get(VARIABLE):
        return lambda store: cast("Store", _Watched(store, _Once(*said.split(":"))))
    return lambda store: store


class _Once:
    """One mishap in the process's life."""

    def __init__(self, act: str, when: str, which: str) -> None:
        self._signal = _SIGNALS[act]
        self._when = when
        self._launch = which == _LAUNCH
        self._left = 1 if self._launch else int(which)

    def before(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Right before a commit; whether it is the one. Others may begin and end before it has ended."""
        if (
            name not in _OF_A_RESET
            or not self._left
            or (self._launch and not _records_a_launch(name, arguments))
        ):
            return False
        self._left -= 1
        if self._left == 0 and self._when == "before":
            os.kill(os.getpid(), self._signal)
        return self._left == 0

    def after(self, name: str, arguments: tuple[Any, ...], result: object, *, met: bool) -> None:  # noqa: ARG002 - one of two forms
        """Right after it."""
        if met and self._when == "after":
            os.kill(os.getpid(), self._signal)


class _EachOnce:
    """Death before and after each commit of a reset, each once over all starts that share the file.

    Commits are told apart by what they are of: the version that a `save` writes, the how-many-th of the others. What
    makes no progress is only died at after something that did: three such claims in a row would call a person.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._died = path.read_text().split() if path.exists() else []

    def before(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """Right before a commit."""
        self._die("before", name, arguments)
        return True

    def after(self, name: str, arguments: tuple[Any, ...], result: object, *, met: bool) -> None:
        """Right after it."""
        if not met or (name == "claim" and not result):
            return
        self._die("after", name, arguments)

    def _die(self, when: str, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "save":
            point = f"{when}:save:{cast('Change', arguments[0]).reset.version + 1}"
        elif name in _OTHERS and (name == "take_in" or self._progressed()):
            died = sum(one.startswith(f"{when}:{name}:") for one in self._died)
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


_OTHERS = {"claim": 2, "published": 10, "take_in": 1, "lock": 1}
"""How often a daemon dies at each commit that is no `save`, before and after."""


def _records_a_launch(name: str, arguments: tuple[Any, ...]) -> bool:
    if name != "save":
        return False
    change = cast("Change", arguments[0])
    return any(one.control is not None and one.outcome is None for one in change.attempts)


class _Watched:
    """In front of the real store."""

    def __init__(self, store: Store, mishap: _Once | _EachOnce) -> None:
        self._store = store
        self._mishap = mishap

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        found = getattr(self._store, name)
        if name not in _OF_A_RESET and name != "published":
            return found
        method = cast("Callable[..., Awaitable[Any]]", found)

        async def watched(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
            met = self._mishap.before(name, arguments)
            result = await method(*arguments, **named)
            self._mishap.after(name, arguments, result, met=met)
            return result

        return watched
