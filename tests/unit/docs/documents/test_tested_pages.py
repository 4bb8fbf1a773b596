"""The pages of failures and continuity: complete, and every test that they name is there."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from docs.generate import continuity, failures
from docs.generate.tested import ROOT
from schemas.reasons import TEXTS, Reason


def source(path: str, old: str = "", new: str = "") -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new, 1) if old else text


def test_the_documents_are_those_of_their_sources() -> None:
    for made in (failures.documents(), continuity.documents()):
        for path, text in made.items():
            assert (ROOT / path).read_text(encoding="utf-8") == text


def test_a_reason_without_an_entry_or_with_two_is_an_error() -> None:
    _, missing = failures.read(ROOT, source(failures.SOURCE, "[evicted]", "[denied]"))
    assert missing == ["evicted has no entry", "denied has 2 entries"]


def test_a_test_that_does_not_exist_is_an_error() -> None:
    _, missing = failures.read(
        ROOT, source(failures.SOURCE, "::test_a_denied_reset_runs_nothing", "::test_none")
    )
    assert missing == ["denied: there is no test tests/integration/api/test_acts.py::test_none"]
    _, missing = continuity.read(
        ROOT, source(continuity.SOURCE, "tests/integration/faults/test_drain.py", "tests/no.py")
    )
    assert missing == ["The daemon, told to stop (SIGTERM): there is no test tests/no.py"]


def test_an_entry_without_a_test_is_an_error() -> None:
    entry = "- {group: g, entries: [{ends: a, survives: [b], how: [c]}]}\n"
    assert continuity.read(ROOT, entry)[1] == ["a: no test shows it"]
    entry = "- {group: g, causes: [{reasons: [denied], daemon: [a], operator: [b]}]}\n"
    assert "denied: no test shows it" in failures.read(ROOT, entry)[1]


def test_a_reserved_reason_needs_no_test() -> None:
    cause = "{reasons: [denied], reserved: true, daemon: [a], operator: [b]}"
    assert not any(
        "denied" in flaw for flaw in failures.read(ROOT, f"- {{group: g, causes: [{cause}]}}\n")[1]
    )


def test_the_page_of_failures_has_the_code_and_the_text_of_each_reason() -> None:
    page = failures.documents()[failures.PATH]
    headings = re.findall(r"^### (.+)$", page, re.MULTILINE)
    codes = [code for heading in headings for code in re.findall(r"`([\w-]+)`", heading)]
    assert sorted(codes) == sorted(reason.value for reason in Reason)
    words = " ".join(page.split())
    assert all(text in words for text in TEXTS.values())


def test_the_pages_name_every_test_of_their_sources() -> None:
    for made, path in ((failures, failures.SOURCE), (continuity, continuity.SOURCE)):
        named = set(re.findall(r"tests/[\w/]+\.py(?:::\w+)?", source(path)))
        assert named == set(re.findall(r"^- `(tests/.+)`$", made.documents()[made.PATH], re.MULTILINE))


@pytest.mark.parametrize("made", [failures, continuity])
def test_no_line_is_longer_than_a_reader_takes_in(made: ModuleType) -> None:
    text = made.documents()[made.PATH].splitlines()
    assert max(len(line) for line in text if "`tests/" not in line and not line.startswith("- ")) <= 120
