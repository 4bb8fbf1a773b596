"""Each line of the reset guide, what carries it, and the test that runs it: `docs/reference/guide-coverage.md`.

A command finds its steps in the catalog by its exact text. `sources/guide-coverage.yaml` names what carries the other
lines. A line without a carrier or a test, a carrier that does not exist, and a test that is not in the tree are errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from docs.generate.carriers import defines, known_carriers, steps_by_text
from docs.generate.guide import Line, aliases, lines
from docs.generate.incomplete import Incomplete
from schemas.wire import Wire

ROOT = Path(__file__).resolve().parents[2]
PATH = "docs/reference/guide-coverage.md"
MAPPING = "docs/generate/sources/guide-coverage.yaml"
_HEADING = """\
# What became of every line of the reset guide

Generated from [the guide](../reset-guide.md), the catalog and `guide-coverage.yaml` by `make docs`; a line without a
carrier or without a test fails `make check`. Commands are found in the catalog by their exact text. A carrier is a
`step` of the catalog (service/mode/name), a `verify` or `doctor` command, a doctor's `check`, a `rule` or `warning` of
the planner, a `catalog` field, a `database`, a set of known `failures`, or a function (`code`).
"""


class Entry(Wire):
    """One entry of the mapping: lines of the guide, what carries them, and their tests."""

    lines: tuple[int, ...]
    carriers: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


class Mapping(Wire):
    """`sources/guide-coverage.yaml`."""

    command_tests: tuple[str, ...]
    """Tests that run every command of the catalog's steps."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Covered:
    """A line with what carries it and what tests that."""

    line: Line
    carriers: tuple[str, ...]
    tests: tuple[str, ...]


def documents() -> dict[str, str]:
    """Path in the repository -> text.

    Raises:
        Incomplete: a line is not covered, or by something that is not there.
    """
    covered, missing = coverage(ROOT, (ROOT / MAPPING).read_text(encoding="utf-8"))
    if missing:
        raise Incomplete(PATH, missing)
    return {PATH: _HEADING + _table(covered)}


def coverage(root: Path, mapping: str) -> tuple[list[Covered], list[str]]:
    """All lines with their coverage, and what is missing of it."""
    given = Mapping.model_validate(yaml.safe_load(mapping))
    guide = lines(root)
    missing = [
        f"{MAPPING} names line {number}, which has nothing to carry"
        for entry in given.entries
        for number in entry.lines
        if number not in {line.number for line in guide}
    ]
    scripts = aliases(guide)
    covered = []
    for line in guide:
        mine = [entry for entry in given.entries if line.number in entry.lines]
        if not line.required and not mine:
            continue
        found, unknown = _steps(line, scripts, named=any(entry.carriers for entry in mine))
        missing += [f"line {line.number}: no step of the catalog runs `{text}`" for text in unknown]
        carriers = (*found, *(carrier for entry in mine for carrier in entry.carriers))
        tests = (*(given.command_tests if found else ()), *(test for entry in mine for test in entry.tests))
        covered.append(Covered(line, tuple(dict.fromkeys(carriers)), tuple(dict.fromkeys(tests))))
    return covered, missing + _wanting(root, covered)


def _steps(line: Line, scripts: dict[str, str], *, named: bool) -> tuple[list[str], list[str]]:
    """Steps that run the line's commands: those of the section's service, where it is about one."""
    found: list[str] = []
    unknown: list[str] = []
    for text in line.shell_texts:
        steps = steps_by_text().get(text) or steps_by_text().get(scripts.get(text, ""), ())
        own = [carrier for carrier, service in steps if service in line.section]
        found += own or [carrier for carrier, _ in steps]
        if not steps and not named:
            unknown.append(text)
    return found, unknown


def _wanting(root: Path, covered: list[Covered]) -> list[str]:
    known = known_carriers()
    missing = []
    for one in covered:
        where = f"line {one.line.number} ({one.line.text[:60]})"
        if not one.carriers:
            missing.append(f"{where}: nothing carries it")
        if not one.tests:
            missing.append(f"{where}: no test runs it")
        for carrier in one.carriers:
            code = carrier.removeprefix("code:")
            if carrier not in known and not (code != carrier and defines(root, code)):
                missing.append(f"{where}: there is no {carrier}")
        missing += [f"{where}: there is no test {test}" for test in one.tests if not defines(root, test)]
    return missing


def _table(covered: list[Covered]) -> str:
    rows = ["", "| line | the guide says | carried by | tested by |", "| ---: | --- | --- | --- |"]
    for one in covered:
        said = one.line.text.replace("|", "\\|").strip()
        said = f"`{said}`" if one.line.command and "`" not in said else said
        carriers = "<br>".join(f"`{carrier}`" for carrier in one.carriers)
        tests = "<br>".join(f"`{test}`" for test in one.tests)
        rows.append(f"| {one.line.number} | {said} | {carriers} | {tests} |")
    return "\n".join(rows) + "\n"
