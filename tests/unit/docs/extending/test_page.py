"""Every block of code in docs/extending.md is one that a test runs, and keeps to the rules of this repository."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate.tested import ROOT
from tests.unit.docs.extending.page import Block, blocks

PYTHON = [one for one in blocks() if one.language == "python"]


def taken() -> list[str]:
    """Names of the blocks that the tests in this folder take."""
    calls = [
        node
        for file in Path(__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    return [
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in {"block", "module"}
    ]


def test_each_block_is_taken_by_a_test() -> None:
    names = [one.name for one in blocks()]
    assert sorted(names) == sorted(set(taken()))
    assert len(names) >= 5


@pytest.mark.parametrize("one", PYTHON, ids=lambda one: str(one.name))
@pytest.mark.parametrize("rule", [("check",), ("format", "--diff")], ids=["linted", "formatted"])
def test_each_example_keeps_to_the_rules_of_the_repository(one: Block, rule: tuple[str, ...]) -> None:
    place = ROOT / "daemon" / "engine" / f"{one.name.replace('-', '_')}.py"
    ruff = [sys.executable, "-m", "ruff", *rule, "--stdin-filename", str(place), "-"]
    found = subprocess.run(ruff, input=one.text, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
