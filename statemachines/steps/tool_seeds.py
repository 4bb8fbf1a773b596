"""Whether a command would run a seed that the image configures for its migration tool, and that nobody asked for.

Prisma 6 runs the seed of package.json (`prisma.seed`) or of prisma.config (`migrations.seed`) after `migrate reset` and
`migrate dev`, unless it is given `--skip-seed`. Prisma 7 seeds only when it is asked to. What the command runs is read
from its text, and from the scripts of package.json that it names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from statemachines.steps.npm_scripts import Followed, follow_scripts

_SEEDS_BEFORE = 7
"""The major version of Prisma that does not seed by itself any more."""


class FileKind(StrEnum):
    """What a file of an image is to Prisma."""

    PACKAGE = "package"  # package.json: scripts, and perhaps prisma.seed
    CONFIG = "config"  # prisma.config.ts and its like
    PRISMA = "prisma"  # package.json of the installed Prisma: its version
    MISSING = "missing"  # a directory that is not there


@dataclass(frozen=True)
class Loaded:
    """A configuration as the tool's own loader has it: the seed's command, None where it configures none."""

    seed: str | None


@dataclass(frozen=True)
class ImageFile:
    """A file of an image; without a text it could not be read."""

    kind: FileKind
    path: str
    text: str | None
    loaded: Loaded | None = None
    """Of a configuration: what the tool's own loader makes of it; None: it was not asked, or gave no answer."""


class Answer(StrEnum):
    """Whether the command would run a configured seed."""

    NONE = "none"
    CONFIGURED = "configured"
    UNCLEAR = "unclear"  # that can't be told


@dataclass(frozen=True)
class SeedAnswer:
    """The answer, and for people what it comes from."""

    answer: Answer
    detail: str = ""


def follow(argv: Sequence[str], files: Iterable[ImageFile]) -> Followed:
    """Follow a command through the scripts of the package.json files that are known."""
    scripts: dict[str, list[str]] = {}
    for file in files:
        if file.kind is FileKind.PACKAGE:
            for name, text in _object(_parsed(file).get("scripts")).items():
                scripts.setdefault(name, []).append(str(text))
    return follow_scripts(argv, scripts)


def judge(argv: Sequence[str], files: Sequence[ImageFile], *, declared: bool) -> SeedAnswer:
    """Say whether the command would run a seed that the image configures.

    Args:
        argv: The command.
        files: What the image has, in the directories that the command runs in.
        declared: Whether the catalog says that the command resets, also where its text does not show it.
    """
    followed = follow(argv, files)
    if followed.resets and not followed.seeds and not followed.unreadable:
        return SeedAnswer(Answer.NONE, "--skip-seed")
    concerned = declared or followed.seeds or bool(followed.resets)
    broken = [
        file.path
        for file in files
        if _broken(file)
        and (file.kind is FileKind.PACKAGE or (concerned and file.kind is not FileKind.PRISMA))
    ]
    if broken and (concerned or followed.scripts):
        return SeedAnswer(Answer.UNCLEAR, f"{', '.join(broken)} can't be read")
    return _configured(files) if concerned else SeedAnswer(Answer.NONE)


def to_load(files: Iterable[ImageFile]) -> list[ImageFile]:
    """The configurations whose text does not show what they take from elsewhere: only the tool's loader knows."""
    return [
        file
        for file in files
        if file.kind is FileKind.CONFIG
        and file.text is not None
        and _of_config(file).answer is Answer.UNCLEAR
    ]


def _configured(files: Sequence[ImageFile]) -> SeedAnswer:
    """Say whether these files configure a seed that a reset runs."""
    versions = [_major(file) for file in files if file.kind is FileKind.PRISMA]
    if versions and all(version is not None and version >= _SEEDS_BEFORE for version in versions):
        return SeedAnswer(Answer.NONE, "this version of Prisma seeds only when it is asked to")
    packages = [file for file in files if file.kind is FileKind.PACKAGE]
    answers = [
        SeedAnswer(Answer.CONFIGURED, f"{file.path} has prisma.seed: {seed}")
        for file in packages
        if (seed := _object(_parsed(file).get("prisma")).get("seed"))
    ]
    answers += [_of_config(file) for file in files if file.kind is FileKind.CONFIG]
    if not packages:
        answers.append(SeedAnswer(Answer.UNCLEAR, "there is no package.json in its directory or above"))
    worst = (Answer.CONFIGURED, Answer.UNCLEAR)
    found = (one for answer in worst for one in answers if one.answer is answer)
    return next(found, SeedAnswer(Answer.NONE))


def _of_config(file: ImageFile) -> SeedAnswer:
    """Read a configuration that is a program: a `seed` in it counts, and what it takes from elsewhere is unclear."""
    text = _without_comments(file.text or "")
    text = re.sub(r"(?<![:\"'`\w])//[^\n]*", " ", text)
    if re.search(r"(?<!skip-)\bseed\b(?!:\s*(undefined|null|''|\"\"))", text):
        return SeedAnswer(Answer.CONFIGURED, f"{file.path} has a seed")
    text = re.sub(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`]*`", "''", text)
    literal = re.search(r"(export\s+default|module\.exports\s*=)\s*(\w+\s*\(\s*)?\{", text)
    elsewhere = re.search(r"\.\.\.|\bmigrations\b(?!\s*:\s*\{)", text)
    if literal is None or elsewhere is not None:
        if file.loaded is not None and file.loaded.seed is None:
            return SeedAnswer(Answer.NONE)
        if file.loaded is not None:
            return SeedAnswer(Answer.CONFIGURED, f"{file.path} comes to the seed {file.loaded.seed}")
        return SeedAnswer(Answer.UNCLEAR, f"{file.path} takes its migrations from elsewhere")
    return SeedAnswer(Answer.NONE)


def _without_comments(text: str) -> str:
    """The text without `/* ... */`; what has no end is no comment. One pass, however many of them begin."""
    kept, at = [], 0
    while (start := text.find("/*", at)) >= 0 and (end := text.find("*/", start + 2)) >= 0:
        kept += [text[at:start], " "]
        at = end + 2
    return "".join([*kept, text[at:]])


def _broken(file: ImageFile) -> bool:
    if file.text is None:
        return True
    if file.kind is not FileKind.PACKAGE:
        return False
    try:
        return not isinstance(json.loads(file.text.removeprefix("\ufeff")), dict)
    except ValueError:
        return True


def _parsed(file: ImageFile) -> Mapping[str, object]:
    return {} if _broken(file) else _object(json.loads((file.text or "").removeprefix("\ufeff")))


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _major(file: ImageFile) -> int | None:
    try:
        version = _object(json.loads(file.text or "")).get("version")
    except ValueError:
        return None
    match = re.match(r"\d+", str(version))
    return int(match[0]) if match else None
