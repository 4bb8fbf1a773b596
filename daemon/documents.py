"""YAML documents that people write (catalog, tokens): read and validated, each error with file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
_Place = tuple[str | int, ...]


class DocumentError(Exception):
    """A document that can't be used; `lines` for people: `FILE:LINE: FIELD: what is wrong`."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read_document(path: Path, shape: TypeAdapter[T]) -> T:
    """The document in `path`, validated.

    Raises:
        DocumentError: it can't be read, is no YAML, or has not the shape; all errors at once.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError((f"{path}: {error.strerror or error}",)) from error
    except UnicodeDecodeError as error:
        raise DocumentError((f"{path}: is not UTF-8 text",)) from error
    return parse_document(text, shape, name=str(path))


def parse_document(text: str, shape: TypeAdapter[T], *, name: str) -> T:
    """The same for text; `name` stands for the file in errors."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DocumentError((f"{name}:{line}: {error.problem or 'is no YAML'}",)) from error
    except yaml.YAMLError as error:
        raise DocumentError((f"{name}: is no YAML: {error}",)) from error
    try:
        return shape.validate_python(data)
    except ValidationError as error:
        lines = tuple(
            f"{name}:{_line_of(node, one['loc'])}: {_field(one['loc'])}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise DocumentError(lines) from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice: plain YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int) and key in seen:
                mark = key_node.start_mark
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} is given twice", mark)
            if isinstance(key, str | int):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _field(place: _Place) -> str:
    return ".".join(str(part) for part in place) or "document"


def _line_of(node: yaml.Node | None, place: _Place) -> int:
    """The line of the deepest node on the way to `place` that there is (a missing key: its mapping's line)."""
    line = 1
    for part in place:
        if node is not None:
            line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line
