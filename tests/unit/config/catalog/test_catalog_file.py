from __future__ import annotations

from pathlib import Path

import pytest

import daemon.config.catalogs
from daemon.config.catalog_file import CatalogError, load_catalog, parse_catalog
from daemon.config.yaml_documents import Flaw

SHIPPED = (Path(daemon.config.catalogs.__file__).parent / "fuse-platform.yaml").read_text()


def flaw(text: str, file: str = "my.yaml") -> Flaw:
    with pytest.raises(CatalogError) as caught:
        parse_catalog(text, file)
    return caught.value.flaws[0]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def changed(old: str, new: str) -> str:
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


def test_a_wrong_value_is_named_with_file_line_and_field() -> None:
    text = changed("idempotent: never", "idempotent: sometimes")
    found = flaw(text)
    assert (found.file, found.line) == ("my.yaml", line_of(text, "idempotent: sometimes"))
    assert found.field == "services[0].steps.wipe[0].idempotent"
    assert str(found).startswith(f"my.yaml:{found.line}: services[0].steps.wipe[0].idempotent: ")


def test_an_unknown_field_is_refused_where_it_stands() -> None:
    text = changed("queue: {waiting: 3}", "queue: {waiting: 3}\ncolour: blue")
    found = flaw(text)
    assert (found.line, found.field) == (line_of(text, "colour"), "colour")


def test_a_missing_field_is_named_where_it_should_be() -> None:
    found = flaw(SHIPPED.replace("name: fuse-platform\n", "", 1))
    assert found.field == "name"
    assert "required" in found.message.lower()


def test_a_key_that_is_given_twice_is_refused_and_not_overwritten() -> None:
    text = changed("queue: {waiting: 3}", "queue: {waiting: 3}\nqueue: {waiting: 4}")
    found = flaw(text)
    assert (found.line, found.field, found.message) == (
        line_of(text, "queue: {waiting: 4}"),
        "queue",
        "given twice",
    )


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\tx: 1", "{", "a: \0"])
def test_what_is_no_yaml_is_refused_with_its_line(text: str) -> None:
    assert flaw(text).line >= 1


@pytest.mark.parametrize(
    "value",
    [
        "{? [a] : b}",
        "{? {a: b} : c}",
        "2024-13-45",
        "!!int nine",
        "!!timestamp soon",
        "&a [*a]",
        "&a {b: *a}",
    ],
)
def test_yaml_that_stands_for_nothing_is_refused_with_its_line(value: str) -> None:
    found = flaw(f"name: mine\ndescription: {value}\n")
    assert found.line == 2


def test_what_is_nested_too_deeply_is_refused() -> None:
    assert "deeply" in flaw("a: " + "[" * 10_000 + "]" * 10_000).message


def test_services_that_are_all_wrong_are_not_called_missing() -> None:
    with pytest.raises(CatalogError) as caught:
        parse_catalog(SHIPPED.replace("    databases:", "    data:"), "my.yaml")
    assert "services" not in {flaw.field for flaw in caught.value.flaws}
    assert "services[5].databases" in {flaw.field for flaw in caught.value.flaws}


@pytest.mark.parametrize("text", ["", "- a", "42", "null"])
def test_what_is_no_mapping_is_no_catalog(text: str) -> None:
    assert flaw(text).file == "my.yaml"


def test_every_flaw_is_told_at_once() -> None:
    text = changed("idempotent: never", "idempotent: sometimes").replace("waiting: 3", "waiting: 0", 1)
    with pytest.raises(CatalogError) as caught:
        parse_catalog(text, "my.yaml")
    assert {flaw.field for flaw in caught.value.flaws} == {
        "queue.waiting",
        "services[0].steps.wipe[0].idempotent",
    }


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"missing\.yaml:1: can't be read"):
        load_catalog(tmp_path / "missing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogError, match="not UTF-8"):
        load_catalog(tmp_path / "binary.yaml")


def test_comments_do_not_change_the_id_and_commands_do() -> None:
    shipped = load_catalog().id
    assert parse_catalog(f"# mine\n{SHIPPED}", "my.yaml").id == shipped
    other = changed("npm run db:deploy:core", "npm run db:deploy:core -- --verbose")
    assert parse_catalog(other, "my.yaml").id != shipped


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  - workflow-api\n", "", "same services"),
        ("migrator: data-builder-api", "migrator: ui-builder-api", "no service with the core database"),
        ("failures: [connection, prisma,", "failures: [nothing, prisma,", "no set of failures nothing"),
        ("databases: [data-builder]", "databases: [elsewhere]", "names databases it has not"),
        ("when: [keep-user-data, no-integrations]", "when: [keep-user-data]", "may both be"),
        ("protected: true, approvers: 1", "protected: true, approvers: 0", "needs approvers"),
        ("reason: database-unreachable", "reason: bad-luck", "bad-luck"),
        ("- codes: [P3009]", "- pattern: '(P3009'", "no regular expression"),
        ("- codes: [P3009]", "- codes: []", "needs codes or a pattern"),
        ("- codes: [P3009]", "- codes: ['P3009|.*']", "a code is a word"),
        ("failOn: '\\[ \\]'", "failOn: '['", "no regular expression"),
        ("failOn: '\\[ \\]'", "failOn: '(?<!x)\\[ \\]'", "no lookaround"),
        ("- {rows: {anyTable: true}}", '- {rows: {query: "SELECT 1; DROP TABLE x"}}', "without a semicolon"),
        ('pattern: "{client}-workflows"', 'pattern: "{customer}-workflows"', "{client} and {kind}"),
        ("idempotent: rerun-after-check", "idempotent: safe", "rerun-after-check"),
    ],
)
def test_what_contradicts_itself_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(CatalogError) as caught:
        parse_catalog(changed(old, new), "my.yaml")
    assert message in str(caught.value)
