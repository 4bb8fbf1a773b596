"""Reads and validates YAML that people write (catalog, tokens). Each error names file, line and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from yaml.constructor import ConstructorError

T = TypeVar("T")


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong in a document. `line` counts from 1."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class DocumentError(Exception):
    """A document that can't be used. `flaws` names everything that is wrong, at least one thing."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__("\n".join(str(flaw) for flaw in flaws))
        self.flaws = tuple(flaws)


def read_document(source: Path | Traversable, shape: TypeAdapter[T]) -> T:
    """Read a file, and validate the document in it.

    Raises:
        DocumentError: the file can't be read, is no YAML, or has another shape. It names all errors at once.
    """
    name = str(source)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DocumentError([Flaw(name, 1, "", f"can't be read: {reason}")]) from error
    return parse_document(text, shape, file=name)


def parse_document(text: str, shape: TypeAdapter[T], *, file: str) -> T:
    """Validate the text of a document. Errors name it `file`.

    Raises:
        DocumentError: as `read_document`.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        flaws = _bad_keys(root, file, set())
        if flaws:
            raise DocumentError(flaws)
        data = None if root is None else loader.construct_document(root)
    except RecursionError as error:
        raise DocumentError([Flaw(file, 1, "", "nested too deeply")]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        line = mark.line + 1 if mark is not None else 1
        raise DocumentError([Flaw(file, line, "", str(problem))]) from error
    try:
        return shape.validate_python(data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        # The cause is left out: it holds the values, and a file of tokens is read here as well.
        places = [fault["loc"] for fault in wrong]
        raise DocumentError(
            [
                _flaw(fault["loc"], fault["msg"], root, file)
                for fault in wrong
                # pydantic leaves wrong items out, and then finds the list too short: only the items are wrong.
                if fault["type"] != "too_short" or not any(_inside(fault["loc"], place) for place in places)
            ]
        ) from None


class _Loader(yaml.SafeLoader):
    """Says where a scalar does not fit its tag, as 2024-13-45 is no date. The error does not show the scalar."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401 - PyYAML's
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, OverflowError):
            problem = f"it is no {node.tag.rpartition(':')[2]}"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from None


def _inside(place: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(other) > len(place) and other[: len(place)] == place


def _flaw(loc: tuple[int | str, ...], message: str, root: yaml.Node | None, file: str) -> Flaw:
    """Make a flaw with the line of the field: that of the deepest part of its path that the file has."""
    node = root
    line = 1
    for part in loc:
        key, value = _child(node, part)
        if value is None:
            break
        line = (key or value).start_mark.line + 1
        node = value
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    return Flaw(file, line, field, message.removeprefix("Value error, "))


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None


def _bad_keys(node: yaml.Node | None, file: str, looked_at: set[yaml.Node]) -> list[Flaw]:
    """Find keys that are given twice or are no text.

    Of two equal keys a YAML loader silently keeps the last one: a step of the catalog would vanish.
    """
    found: list[Flaw] = []
    if node is None or node in looked_at:  # an alias, perhaps of a node that holds it
        return found
    looked_at.add(node)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                found.append(Flaw(file, line, "", "a key has to be text"))
            elif key.value in seen:
                found.append(Flaw(file, line, key.value, "given twice"))
            else:
                seen.add(key.value)
            found += _bad_keys(value, file, looked_at)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found += _bad_keys(item, file, looked_at)
    return found
