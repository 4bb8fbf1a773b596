from __future__ import annotations

from pathlib import Path

from docs.generate.guide import lines
from docs.generate.guide_coverage import MAPPING, PATH, ROOT, coverage, documents


def test_every_line_of_the_guide_has_a_carrier_and_a_test_and_the_document_says_so() -> None:
    assert (ROOT / PATH).read_text(encoding="utf-8") == documents()[PATH]


def mapping(old: str, new: str) -> str:
    text = (ROOT / MAPPING).read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new, 1)


def missing(text: str) -> str:
    return "\n".join(coverage(ROOT, text)[1])


def test_a_line_that_nothing_carries_is_an_error() -> None:
    said = missing(mapping("- lines: [283]", "- lines: [282]"))
    assert "line 283 (- Consider backing up before reset): nothing carries it" in said
    assert "line 283 (- Consider backing up before reset): no test runs it" in said


def test_a_carrier_or_a_test_that_does_not_exist_is_an_error() -> None:
    assert "there is no rule:nothing" in missing(mapping("rule:known_kind", "rule:nothing"))
    assert "::test_nothing" in missing(
        mapping("::test_touching_core_says_that_it_is_shared", "::test_nothing")
    )
    assert "names line 1," in missing(mapping("lines: [283]", "lines: [1, 283]"))


def test_a_command_that_no_step_runs_is_an_error(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "reset-guide.md").read_text(encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "reset-guide.md").write_text(
        guide.replace("npm run seed:mock ", "npm run seed:other ")
    )
    said = "\n".join(coverage(tmp_path, (ROOT / MAPPING).read_text(encoding="utf-8"))[1])
    assert "line 44: no step of the catalog runs `npm run seed:other`" in said


def test_commands_are_read_out_of_comments_start_scripts_and_kubectl() -> None:
    texts = {line.number: line.shell_texts for line in lines(ROOT)}
    assert texts[41] == ("npm run seed:system",)
    assert texts[28] == ("npm run prisma:migrate:prod", "npm run seed:system")
    assert texts[140] == ("npm run db:run-migrations", "npm run seed")
    assert texts[228] == ("npm run seed:system",)
    assert texts[374] == ()
    assert texts[340] == ("npm run db:deploy", "npm run db:sync-model", "npm run db:seed:data-builder")
