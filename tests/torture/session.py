"""Many rounds on one platform. The rounds of a block share a stand; each round is judged by itself."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.faults import FaultKind
from sandbox.platform.platform import Platform
from tests.torture.daemons import zygote
from tests.torture.figures import Figures
from tests.torture.judge.judge import Verdict, judge
from tests.torture.rounds import Round
from tests.torture.script.generator import BLOCK, block_of, write
from tests.torture.script.protection import PROTECTED
from tests.torture.script.script import Block
from tests.torture.stand import evidence_files
from tests.torture.stand.gatherer import Gatherer
from tests.torture.stand.stand import Stand, stand

ENVIRONMENTS = ("qa-sandbox", "acme-sandbox", "beta-sandbox", *PROTECTED)
"""The environments that rounds use: one alone, two that share their core database, and a production with a sandbox on
its databases."""

Say = Callable[[str], None]


class Session:
    """Rounds of one seed on one platform."""

    def __init__(
        self,
        platform: Platform,
        zygote_: zygote.Zygote,
        directory: Path,
        *,
        environments: Sequence[str] = ENVIRONMENTS,
        defect: str | None = None,
        faults: Sequence[FaultKind] = (),
        say: Say = print,
    ) -> None:
        """`faults`: the kinds of faults, of which each round arms some."""
        self._platform = platform
        self._zygote = zygote_
        self._directory = directory
        self._environments = environments
        self._defect = defect
        self._faults = faults
        self._say = say

    def run(self, seed: str, rounds: Sequence[int], *, until_found: bool = False) -> Figures:
        """Play and judge these rounds; `until_found`: stop at the first finding."""
        figures = Figures()
        begun = time.monotonic()
        before = Counter(
            {str(kind): number for kind, number in asyncio.run(self._platform.faults.hits()).items()}
        )
        blocks: dict[int, list[int]] = {}
        for round_ in rounds:
            blocks.setdefault(round_ // BLOCK, []).append(round_)
        for number, members in blocks.items():
            block = block_of(seed, members[0], defect=self._defect)
            directory = self._directory / f"block-{seed}-{number}-{time.monotonic_ns()}"
            self._run_block(seed, members, block, directory, figures, until_found=until_found)
            if until_found and figures.findings:
                break
            figures.seconds = time.monotonic() - begun
        hit = Counter(
            {str(kind): number for kind, number in asyncio.run(self._platform.faults.hits()).items()}
        )
        figures.faults = hit - before
        return figures

    def _run_block(
        self,
        seed: str,
        members: Sequence[int],
        block: Block,
        directory: Path,
        figures: Figures,
        *,
        until_found: bool,
    ) -> None:
        with self._stand(directory, block) as (here, gatherer):
            for round_ in members:
                begun = time.monotonic()
                script = write(seed, round_, self._environments, block, self._faults)
                evidence = Round(here, gatherer, script).play()
                verdict = judge(evidence)
                figures.take(script.seed, verdict)
                figures.armed.update(str(fault.kind) for fault in script.faults)
                self._tell(script.seed, block, verdict, here, time.monotonic() - begun)
                if verdict.findings:
                    place = evidence_files.keep(self._directory / "failed", here, script, evidence, verdict)
                    self._say(f"  evidence in {place}; again: make torture ROUNDS=1 SEED={script.seed}")
                if evidence.stuck or (until_found and figures.findings):
                    break  # what hangs in this round hangs in the next one, too
            figures.kills += here.counts.kills
            figures.stops += here.counts.stops
            figures.seen.update({f"API: {code}": times for code, times in here.counts.answers.items()})

    @contextmanager
    def _stand(self, directory: Path, block: Block) -> Iterator[tuple[Stand, Gatherer]]:
        with stand(
            self._platform,
            self._zygote,
            directory,
            block,
            defect=self._defect,
        ) as here:
            gatherer = Gatherer(here)
            try:
                yield here, gatherer
            finally:
                gatherer.close()

    def _tell(self, name: str, block: Block, verdict: Verdict, here: Stand, seconds: float) -> None:
        states = ", ".join(f"{number} {state}" for state, number in sorted(verdict.states.items()))
        self._say(
            f"{name} {block.state}x{block.replicas} {seconds:.1f} s, {here.counts.kills} kills,"
            f" {here.counts.stops} stops: {states}"
        )
        for finding in verdict.findings:
            self._say(f"  {finding.rule}: {finding.text}")
