"""`python -m tests.torture`: rounds of torture, with the figures at the end; exit code 1 if anything was wrong."""

from __future__ import annotations

import argparse
import asyncio
import functools
import signal
import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from sandbox.faults import FaultKind
from sandbox.faults.kinds import starting
from sandbox.platform.platform import Platform
from schemas.requests import Mode
from tests.torture import exhaustive, figures, sleepers
from tests.torture.daemons import zygote
from tests.torture.daemons.defects import DEFECTS
from tests.torture.script.generator import BLOCK
from tests.torture.session import ENVIRONMENTS, Session

_EXHAUSTIVE = ("exhaustive", "chained")
_ONE_ENVIRONMENT = (*_EXHAUSTIVE, "sleepers", "failover")


def main() -> int:
    """Do what the command line asks for; returns the exit code."""
    # Ctrl-C ends this process at once, with the rounds in its threads; all of its children end with it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    arguments = _arguments()
    if arguments.sum:
        return _show(figures.read(arguments.sum))
    seed, rounds = _which(arguments.seed, arguments.rounds, arguments.first)
    directory = arguments.directory or Path(tempfile.mkdtemp(prefix="torture-"))
    directory.mkdir(parents=True, exist_ok=True)
    _say(f"everything is kept in {directory}")
    found = asyncio.run(_run(directory.resolve(), arguments, seed, rounds))
    if arguments.report and arguments.what != "rounds":
        found.append_to(arguments.report)
    return _show(found)


async def _run(
    directory: Path, arguments: argparse.Namespace, seed: str, rounds: Sequence[int]
) -> figures.Figures:
    environments = arguments.environment or ENVIRONMENTS
    if arguments.what in _ONE_ENVIRONMENT:
        environments = [exhaustive.ENVIRONMENT]
    with zygote.running() as forks:
        async with Platform.start(directory / "platform", environments=environments, say=_say) as platform:
            if arguments.what in {"sleepers", "failover"}:
                return await asyncio.to_thread(_sleepers, platform, forks, directory, arguments)
            if arguments.what in _EXHAUSTIVE:
                return await asyncio.to_thread(_exhaustive, platform, forks, directory, arguments)
            session = functools.partial(
                Session,
                platform,
                forks,
                directory,
                environments=environments,
                faults=_kinds(arguments.faults),
                say=_say,
            )
            if arguments.what == "defects":
                return await asyncio.to_thread(_defects, session, seed, rounds, arguments.break_)
            return await asyncio.to_thread(
                _rounds, session(defect=arguments.break_), seed, rounds, arguments.report
            )


def _rounds(session: Session, seed: str, rounds: Sequence[int], report: Path | None) -> figures.Figures:
    """Play the rounds block by block. What a block brought is in the report before the next one begins."""
    total = figures.Figures()
    for _, members in groupby(rounds, key=lambda number: number // BLOCK):
        found = session.run(seed, list(members))
        if report:
            found.append_to(report)
        total.add(found)
    return total


def _defects(
    session: Callable[..., Session], seed: str, rounds: Sequence[int], defect: str | None
) -> figures.Figures:
    """Play rounds with each defect until it is found; a defect that was not found is the finding."""
    total = figures.Figures()
    for name in DEFECTS if defect is None else (defect,):
        found = session(defect=name).run(seed, rounds, until_found=True)
        how = ", ".join(sorted(found.findings)) or "NOT FOUND"
        _say(f"{name}: in {found.rounds} rounds: {how}")
        total.rounds += found.rounds
        total.kills += found.kills
        if found.well:
            total.findings["defects that nobody noticed"] += 1
            total.failed.append(name)
    return total


def _sleepers(
    platform: Platform, forks: zygote.Zygote, directory: Path, arguments: argparse.Namespace
) -> figures.Figures:
    run = sleepers.Sleepers(platform, forks, directory, say=_say)
    if arguments.what == "sleepers":
        return run.sleep(arguments.seed, arguments.rounds)
    seconds = sorted(run.fail_over(arguments.rounds))
    _say(
        f"failover: {seconds[len(seconds) // 2]:.1f} s in the middle, {seconds[-1]:.1f} s at most, of {len(seconds)}"
    )
    return figures.Figures(rounds=arguments.rounds)


def _exhaustive(
    platform: Platform, forks: zygote.Zygote, directory: Path, arguments: argparse.Namespace
) -> figures.Figures:
    mode, services = Mode(arguments.mode), tuple(arguments.service or ())
    run = exhaustive.Exhaustive(platform, forks, directory, mode=mode, services=services, say=_say)
    if arguments.what == "chained":
        return run.chained()
    return run.each(range(arguments.first, arguments.first + arguments.rounds) if arguments.first else None)


def _kinds(named: str) -> Sequence[FaultKind]:
    if named == "all":
        return tuple(FaultKind)
    return () if named == "none" else sorted(starting(*named.split(",")))


def _which(seed: str, rounds: int, first: int) -> tuple[str, range]:
    """The seed and the numbers of its rounds: `s` means from round `first` on, `s:17` means from round 17 on."""
    name, colon, number = seed.partition(":")
    begin = int(number) if colon else first
    return name, range(begin, begin + rounds)


def _show(found: figures.Figures) -> int:
    _say("\n".join(found.lines()))
    for name in found.failed:
        _say(f"again: make torture ROUNDS=1 SEED={name}")
    return 0 if found.well else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's output


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["rounds", "defects", *_ONE_ENVIRONMENT],
        default="rounds",
        help="rounds from a seed; the same for each defect until it is found; a death at each commit of a reset, "
        "one run each; the same in one chain; daemons that sleep past their lease; how soon another takes over",
    )
    parser.add_argument("--mode", default="wipe", help="of the reset that is died in")
    parser.add_argument("--service", action="append", help="only these services of it")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", default="1", help="S, or S:N for round N of seed S")
    parser.add_argument("--first", type=int, default=0, help="the first round's number")
    parser.add_argument("--break", dest="break_", choices=sorted(DEFECTS), help="a defect of the daemon")
    parser.add_argument(
        "--faults",
        default="all",
        help="kinds to arm, by how they begin (`exec-,pod-deleted`); `all` or `none`",
    )
    parser.add_argument(
        "--environment", action="append", help=f"only these; {', '.join(ENVIRONMENTS)} unless given"
    )
    parser.add_argument("--directory", type=Path, help="where evidence is kept; a temporary one unless given")
    parser.add_argument(
        "--report", type=Path, help="append the figures to this file, of rounds every ten: --first N goes on"
    )
    parser.add_argument(
        "--sum", type=Path, nargs="+", help="add up the figures of such files, and run nothing"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
