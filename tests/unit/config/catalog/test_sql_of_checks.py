"""SQL that a catalog gives is refused when the catalog is read, and not after the wipe that it belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.checks import CheckEntry, MigrationsEntry
from schemas.sql import check_question


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1; DROP TABLE x",
        "SELECT 1;",
        "SELECT 1 /* ; */; DROP TABLE x",
        "DROP TABLE x",
        "DELETE FROM x RETURNING *",
        "WITH gone AS (DELETE FROM x RETURNING *) SELECT * FROM gone",
        "WITH more AS (INSERT INTO x VALUES (1) RETURNING *) SELECT 1",
        "WITH more AS MATERIALIZED ( /* so */ UPDATE x SET a = 1 RETURNING *) SELECT 1",
        "WITH more AS (MERGE INTO x USING y ON true WHEN MATCHED THEN DELETE) SELECT 1",
        "SELECT 1) AS asked) AS x; COMMIT; DELETE FROM x; SELECT count(*) FROM (SELECT 1 FROM (SELECT 1",
        "SELECT 1) AS a UNION (SELECT 2",
        "SELECT 1 -- and the rest",
        "SELECT 'it''s",
        'SELECT "a',
        "SELECT $a$ b $b$",
        "SELECT 1 /* /* */",
        r"SELECT E'\'; DROP TABLE x",
        "SELECT '\\'; DROP TABLE x; --'",
        "SELECT $$a$$; DROP TABLE x",
        "SELECT * INTO y FROM x",
        "SELECT * FROM x FOR UPDATE",
        "EXPLAIN ANALYZE SELECT 1",
        "COPY x TO PROGRAM 'true'",
        "(SELECT 1",
        "-- nothing\n",
        "CALL harm()",
        "DO $$ BEGIN END $$",
    ],
)
def test_a1_a_query_that_is_more_than_one_question_is_refused_when_it_is_read(query: str) -> None:
    for check in ("rows", "unchanged"):
        with pytest.raises(ValidationError):
            CheckEntry.model_validate({check: {"query": query}})


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "select name from roles where name like 'adm%'",
        "SELECT ';' AS semicolon, \";\" FROM x /* ; /* ; */ */ WHERE a = $$;$$ OR b = $x$;'$$$x$",
        "SELECT 1 -- ; the first\n, 2",
        r"SELECT E'\';' || e'\\' || U&'\0041;'",
        "WITH a AS (SELECT 1), b AS (TABLE a) SELECT * FROM b",
        "VALUES (1), (2)",
        "TABLE roles",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "/* why */ SELECT updated_at, deleted FROM x WHERE kind IN ('insert into', 'delete from x')",
        "SELECT substring(name FOR 3) FROM x",
        "SELECT a$b$c FROM x",
        "SELECT 'größe' AS größe",
    ],
)
def test_a_question_is_taken_whatever_stands_in_its_literals(query: str) -> None:
    entry = CheckEntry.model_validate({"rows": {"query": query}})
    assert entry.rows is not None
    assert entry.rows.query == query


@pytest.mark.parametrize("text", ["true; DROP TABLE x", "true) OR (true", "a = 'b", "(a", "a -- b", "a)"])
def test_an_expression_that_leaves_its_brackets_is_refused(text: str) -> None:
    for check in ("rows", "unchanged"):
        with pytest.raises(ValidationError):
            CheckEntry.model_validate({check: {"table": ["x"], "where": text}})
    for field in ("column", "finished", "undone"):
        ledger = {"table": ["x"], "column": "a", "pattern": ".+", field: text}
        with pytest.raises(ValidationError):
            TypeAdapter(MigrationsEntry).validate_python({"directory": "migrations", "ledger": ledger})
    where = "a IN ('b;c', 'd)') -- why\n AND e"
    assert CheckEntry.model_validate({"rows": {"table": ["x"], "where": where}}).rows


@given(st.text(alphabet="a'\"$;()-/*\\E \n", max_size=30))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        check_question(f"SELECT {text}")
    except ValueError:
        return
