"""The glossary: each word has one sentence, a module that is there, and a table that is there or none."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from docs.generate.tested import ROOT
from schemas.tables import Row


class Word(NamedTuple):
    """A row of the glossary."""

    name: str
    meaning: str
    module: str
    table: str


def words() -> list[Word]:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return [Word(*row) for row in rows if row[0] not in {"word", "---"}]


WORDS = words()


@pytest.mark.parametrize("word", WORDS, ids=[word.name for word in WORDS])
def test_a_word_has_a_module_that_is_in_the_tree(word: Word) -> None:
    assert re.fullmatch(r"`[\w/.-]+`", word.module)
    assert (ROOT / word.module.strip("`")).is_file()


@pytest.mark.parametrize("word", WORDS, ids=[word.name for word in WORDS])
def test_a_word_is_told_in_one_sentence(word: Word) -> None:
    assert re.fullmatch(r"[A-Z`][^.]*(\.(?=\S)[^.]*)*\.", word.meaning), word.meaning


def test_each_table_of_the_state_database_belongs_to_a_word_and_no_other_table_does() -> None:
    named = {word.table.strip("`") for word in WORDS} - {"-"}
    assert named == set(Row.metadata.tables)


def test_no_word_is_explained_twice() -> None:
    names = [word.name for word in WORDS]
    assert len(set(names)) == len(names)
