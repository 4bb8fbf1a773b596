"""The page of log events has each event that the daemon logs, with its level, module and fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import log_events
from docs.generate.incomplete import Incomplete
from docs.generate.log_events import LogEvent

HEAD = "import structlog\nlog = structlog.get_logger()\n"


def tree(folder: Path, text: str) -> Path:
    """A repository whose daemon is one module with that text."""
    (folder / "daemon").mkdir()
    (folder / "daemon" / "module.py").write_text(HEAD + text, encoding="utf-8")
    return folder


def names_in_the_code() -> set[str]:
    """Event names as a search for text finds them, whatever the syntax tree says."""
    call = re.compile(
        r'\b_?log\.a?(?:debug|info|warning|error|exception|critical)\(\s*(?:#[^\n]*\n\s*)?"([^"]+)"'
    )
    return {
        name
        for file in (log_events.ROOT / "daemon").rglob("*.py")
        for name in call.findall(file.read_text(encoding="utf-8"))
    }


def names_in_the_page() -> set[str]:
    page = log_events.documents()[log_events.PATH]
    return set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))


def test_the_page_in_the_repository_is_what_the_code_says() -> None:
    for path, text in log_events.documents().items():
        assert (log_events.ROOT / path).read_text(encoding="utf-8") == text


def test_each_event_of_the_code_is_in_the_page_and_each_of_the_page_in_the_code() -> None:
    assert names_in_the_page() == names_in_the_code()


def test_an_event_has_its_level_its_module_and_its_fields(tmp_path: Path) -> None:
    text = 'def f():\n    log.warning("area.what-happened", one=1, two=2)\n'
    assert log_events.events(tree(tmp_path, text)) == [
        LogEvent("area.what-happened", "warning", "daemon/module.py", ("one", "two"))
    ]


def test_an_event_that_is_logged_twice_in_a_module_has_one_row_with_all_fields(tmp_path: Path) -> None:
    text = 'def f():\n    log.info("area.what", one=1)\n    log.info("area.what", two=2)\n'
    assert log_events.events(tree(tmp_path, text)) == [
        LogEvent("area.what", "info", "daemon/module.py", ("one", "two"))
    ]


def test_fields_from_a_dictionary_of_the_same_function_are_found(tmp_path: Path) -> None:
    text = 'async def f():\n    said = {"one": 1}\n    await log.ainfo("area.what", two=2, **said)\n'
    assert log_events.events(tree(tmp_path, text)) == [
        LogEvent("area.what", "info", "daemon/module.py", ("one", "two"))
    ]


def test_a_traceback_is_a_field_under_the_name_that_the_log_gives_it(tmp_path: Path) -> None:
    text = 'def f(error):\n    log.error("area.what", exc_info=error)\n    log.exception("area.other")\n'
    assert log_events.events(tree(tmp_path, text)) == [
        LogEvent("area.other", "error", "daemon/module.py", ("exception",)),
        LogEvent("area.what", "error", "daemon/module.py", ("exception",)),
    ]


@pytest.mark.parametrize("name", ["words of a sentence", "area", "Area.what", "area.what_happened", "a.b.c"])
def test_a_name_that_is_not_area_and_what_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(Incomplete, match=f"`{name}` is not written `area.what`"):
        log_events.events(tree(tmp_path, f'def f():\n    log.info("{name}")\n'))


def test_a_name_that_is_made_at_run_time_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Incomplete, match="the name of an event is not a literal"):
        log_events.events(tree(tmp_path, "def f(name):\n    log.info(name)\n"))


def test_fields_that_can_not_be_read_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(Incomplete, match=r"fields of `area\.what` can not be read"):
        log_events.events(tree(tmp_path, 'def f(said):\n    log.info("area.what", **said)\n'))


def test_every_sentence_that_is_let_pass_is_still_logged() -> None:
    assert names_in_the_code() >= log_events.SENTENCES


def test_fields_of_a_drive_are_told_once_for_all_its_events() -> None:
    page = log_events.documents()[log_events.PATH]
    assert "An event that is logged while a reset is driven also has `reset`, `environment`." in page
