"""The events that the daemon logs, out of its syntax tree: `docs/reference/log-events.md`.

An event's name is a literal, `area.what` in kebab-case; its fields are keywords, or a dictionary of the same function.
Anything else is an error, as nobody could look it up.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.generate.incomplete import Incomplete
from docs.generate.tested import table

ROOT = Path(__file__).resolve().parents[2]
PATH = "docs/reference/log-events.md"

SENTENCES: frozenset[str] = frozenset(
    {
        "a call failed",
        "an update that answered with an error had happened",
        "kafka consumer is made anew",
        "offsets not acknowledged",
        "partitions assigned",
        "partitions revoked",
        "the broker refuses an idempotent producer; going on without",
        "the topic was made anew, or lost its end: starting at its beginning",
    }
)
"""Names that are sentences, and stay: whoever searches or counts them knows them like this."""

_NAME = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*")
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
_HEADING = """\
# Log events

Generated from the code of `daemon/` by `make docs`. `RESETD_LOG_LEVEL` is the lowest level that is logged. Each line
has `event`, `level`, `logger` and `timestamp`, and the fields of its event. Secrets are removed from every value.
"""


@dataclass(frozen=True, order=True)
class LogEvent:
    """An event as one module logs it at one level; fields in alphabetical order."""

    name: str
    level: str
    module: str
    """Path in the repository."""
    fields: tuple[str, ...]


class _UnreadableError(Exception):
    """What is logged does not stand in the code."""


def documents() -> dict[str, str]:
    """Path in the repository -> text.

    Raises:
        Incomplete: a name or the fields of an event do not stand in the code.
    """
    rows = [
        (f"`{event.name}`", event.level, f"`{event.module}`", _listed(event.fields)) for event in events(ROOT)
    ]
    bound = "".join(
        f"An event that is logged while a reset is driven also has {_listed(fields)}.\n"
        for fields in _bound(ROOT)
    )
    return {PATH: _HEADING + bound + table(("event", "level", "module", "fields"), rows)}


def events(root: Path) -> list[LogEvent]:
    """Every event of `daemon/` under the root, by name.

    Raises:
        Incomplete: a name is no literal or not `area.what`, or fields can't be read.
    """
    fields: dict[tuple[str, str, str], set[str]] = {}
    missing: list[str] = []
    for path, tree in _modules(root):
        loggers = _loggers(tree)
        for function, call, method in _calls(tree, loggers):
            try:
                name = _name(call)
                keywords = _fields(function, call, name, method)
            except _UnreadableError as error:
                missing.append(f"{path}:{call.lineno}: {error}")
                continue
            level = "error" if method == "exception" else method
            fields.setdefault((name, level, path), set()).update(keywords)
    if missing:
        raise Incomplete(PATH, missing)
    return sorted(LogEvent(*key, tuple(sorted(found))) for key, found in fields.items())


def _modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((root / "daemon").rglob("*.py")):
        yield file.relative_to(root).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def _loggers(tree: ast.Module) -> set[str]:
    """Names in the module that are bound to a logger of structlog."""
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_call_of(node.value, "get_logger")
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _calls(tree: ast.Module, loggers: set[str]) -> Iterator[tuple[ast.AST, ast.Call, str]]:
    """Each call of a logger, with the innermost function around it and the method's name without `a` for async."""
    inside: dict[ast.AST, ast.AST] = {}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            inside |= dict.fromkeys(ast.walk(function), function)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method = node.func.attr if node.func.attr in _LEVELS else node.func.attr.removeprefix("a")
            logger = node.func.value
            if isinstance(logger, ast.Name) and logger.id in loggers and method in _LEVELS:
                yield inside.get(node, tree), node, method


def _name(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        raise _UnreadableError("the name of an event is not a literal")
    if first.value not in SENTENCES and not _NAME.fullmatch(first.value):
        raise _UnreadableError(f"`{first.value}` is not written `area.what`")
    return first.value


def _fields(function: ast.AST, call: ast.Call, name: str, method: str) -> list[str]:
    """Fields of the line; a traceback is `exception` there."""
    fields = ["exception"] if method == "exception" else []
    for keyword in call.keywords:
        if keyword.arg is not None:
            fields.append("exception" if keyword.arg == "exc_info" else keyword.arg)
            continue
        found = _keys_of(function, keyword.value)
        if found is None:
            raise _UnreadableError(f"the fields of `{name}` can not be read")
        fields += found
    return fields


def _keys_of(function: ast.AST, value: ast.expr) -> list[str] | None:
    """Keys of the dictionary that the function assigns to that variable; None where it assigns none."""
    for node in ast.walk(function):
        if (
            isinstance(value, ast.Name)
            and isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Dict)
            and any(isinstance(target, ast.Name) and target.id == value.id for target in node.targets)
        ):
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            return [key for key in keys if isinstance(key, str)]
    return None


def _bound(root: Path) -> list[list[str]]:
    """Fields that are bound to all events of a task."""
    return [
        [keyword.arg for keyword in node.keywords if keyword.arg is not None]
        for _, tree in _modules(root)
        for node in ast.walk(tree)
        if _is_call_of(node, "bind_contextvars") and isinstance(node, ast.Call)
    ]


def _is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"
