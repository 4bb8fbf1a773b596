"""The tables of failures and continuity: complete, and every test that they name is there."""

from __future__ import annotations

from docs.generate import continuity, failures
from docs.generate.tested import ROOT


def source(path: str, old: str = "", new: str = "") -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new, 1) if old else text


def test_the_documents_are_those_of_their_sources() -> None:
    for made in (failures.documents(), continuity.documents()):
        for path, text in made.items():
            assert (ROOT / path).read_text(encoding="utf-8") == text


def test_a_reason_without_a_row_or_with_two_is_an_error() -> None:
    _, missing = failures.read(ROOT, source(failures.SOURCE, "[evicted]", "[denied]"))
    assert missing == ["evicted has no row", "denied has 2 rows"]


def test_a_test_that_does_not_exist_is_an_error() -> None:
    _, missing = failures.read(
        ROOT, source(failures.SOURCE, "::test_a_denied_reset_runs_nothing", "::test_none")
    )
    assert missing == ["denied: there is no test tests/integration/api/test_acts.py::test_none"]
    _, missing = continuity.read(
        ROOT, source(continuity.SOURCE, "tests/integration/faults/test_drain.py", "tests/no.py")
    )
    assert missing == ["The daemon, told to stop (SIGTERM): there is no test tests/no.py"]


def test_a_row_without_a_test_is_an_error() -> None:
    row = "- {ends: a, survives: b, how: c}\n"
    assert continuity.read(ROOT, row)[1] == ["a: no test shows it"]
    row = "- {reasons: [denied], daemon: a, operator: b}\n"
    assert "denied: no test shows it" in failures.read(ROOT, row)[1]
