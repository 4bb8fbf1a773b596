"""The daemon dies before and after each store commit of one whole reset.

There are two forms. In the first one each commit has a run of its own: the daemon dies at the N-th commit, and the
reset then runs undisturbed to its end. In the chained one there is one reset: the daemon dies at every commit, and each
start comes one commit further. In both the judge looks at the evidence, and the databases must hold what they hold
after an undisturbed reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.platform.platform import Platform
from sandbox.platform.snapshots import Snapshots, taken
from schemas.requests import Mode
from tests.torture.daemons import failpoints
from tests.torture.daemons.zygote import Zygote
from tests.torture.figures import Figures
from tests.torture.judge.evidence import Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.judge import judge
from tests.torture.rounds import Round
from tests.torture.script.script import Ask, Block, Kill, Script, State
from tests.torture.stand.gatherer import Gatherer
from tests.torture.stand.stand import Stand, stand

ENVIRONMENT = "qa-sandbox"
_CHAINED_WITHIN = 3600.0
_BLOCK = Block(State.SQLITE, 1)
Say = Callable[[str], None]


class Exhaustive:
    """Deaths in one kind of reset (`mode` and `services`; none: all) on one platform."""

    def __init__(
        self,
        platform: Platform,
        zygote: Zygote,
        directory: Path,
        *,
        mode: Mode = Mode.WIPE,
        services: tuple[str, ...] = (),
        say: Say = print,
    ) -> None:
        self._platform = platform
        self._zygote = zygote
        self._directory = directory
        self._mode = mode
        self._services = services
        self._say = say

    def chained(self) -> Figures:
        """Run one reset with a death at every commit."""
        figures = Figures()
        with taken(self._platform, ENVIRONMENT) as snapshots:
            wanted = self._undisturbed(snapshots)
            snapshots.put_back()
            points = self._directory / "points"
            with self._stand("chained", {failpoints.EACH: str(points)}) as (here, gatherer):
                evidence = Round(
                    here, gatherer, self._script("chained", http=False), within=_CHAINED_WITHIN
                ).play()
                self._judge("chained", evidence, wanted, figures)
                died = set(points.read_text().split())
                (reset,) = evidence.resets.values()
                every = {
                    f"{when}:save:{version}"
                    for when in ("before", "after")
                    for version in range(1, reset["version"] + 1)
                }
                figures.kills = here.counts.kills
                if missed := every - died:
                    raise RuntimeError(f"no death at {sorted(missed)}: the chain has holes")
                self._say(f"{len(died)} deaths at as many points, {len(every)} of them around saves")
        return figures

    def each(self, numbers: Iterable[int] | None = None) -> Figures:
        """Run a reset for each commit and each side of it; `numbers`: only for these commits."""
        figures = Figures()
        with taken(self._platform, ENVIRONMENT) as snapshots:
            wanted = self._undisturbed(snapshots)
            with self._stand("each", {}) as (here, gatherer):
                for number in numbers or _counting():
                    if not all(
                        self._once(here, gatherer, snapshots, f"{when}:{number}", wanted, figures)
                        for when in ("before", "after")
                    ):
                        break
        return figures

    def _once(
        self,
        here: Stand,
        gatherer: Gatherer,
        snapshots: Snapshots,
        point: str,
        wanted: Mapping[str, Any],
        figures: Figures,
    ) -> bool:
        """Run one reset with a death at this point; False when the reset has no such commit."""
        snapshots.put_back()
        before = here.counts.kills
        script = self._script(point, http=True, failpoint=f"kill:{point}")
        evidence = Round(here, gatherer, script).play()
        died = here.counts.kills - before - 1  # the first kill restarts the daemon with its failpoint
        figures.kills += died
        if died:
            self._judge(point, evidence, wanted, figures)
        return died > 0

    def _judge(self, name: str, evidence: Evidence, wanted: Mapping[str, Any], figures: Figures) -> None:
        verdict = judge(evidence)
        contents = self._platform.contents(ENVIRONMENT)
        verdict.findings += [
            Finding("contents", f"{place} is not what an undisturbed reset leaves")
            for place in wanted
            if contents[place] != wanted[place]
        ]
        if set(verdict.states) - {"done"}:
            verdict.findings.append(Finding("lost", f"not done: {dict(verdict.states)}"))
        figures.take(f"exhaustive {name}", verdict)
        self._say(f"{name}: {dict(verdict.states)}, {verdict.launches} launches")
        for finding in verdict.findings:
            self._say(f"  {finding.rule}: {finding.text}")

    def _undisturbed(self, snapshots: Snapshots) -> Mapping[str, Any]:
        snapshots.put_back()
        with self._stand("undisturbed", {}) as (here, gatherer):
            Round(here, gatherer, self._script("undisturbed", http=True)).play()
        return self._platform.contents(ENVIRONMENT)

    def _script(self, name: str, *, http: bool, failpoint: str | None = None) -> Script:
        ask = Ask(0.1, f"exhaustive {name}", ENVIRONMENT, self._mode, self._services, http=http, git=True)
        kills = (Kill(0.0, 0, failpoint),) if failpoint else ()
        return Script(f"exhaustive {name}", (*kills, ask))

    @contextmanager
    def _stand(self, name: str, settings: dict[str, str]) -> Iterator[tuple[Stand, Gatherer]]:
        with stand(self._platform, self._zygote, self._directory / name, _BLOCK, settings=settings) as here:
            gatherer = Gatherer(here)
            try:
                yield here, gatherer
            finally:
                gatherer.close()


def _counting() -> Iterator[int]:
    number = 1
    while True:
        yield number
        number += 1
