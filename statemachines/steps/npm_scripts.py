"""Follows a command through shells and the scripts of package.json to the calls of Prisma that it comes to.

It knows npm, pnpm, yarn, bun, `run-s` and `run-p`, scripts before and after a script, and what npm keeps for itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

_DEEPEST = 12
_RUNNERS = frozenset({"npm", "pnpm", "yarn", "bun"})
_SEVERAL = frozenset({"run-p", "run-s", "npm-run-all", "npm-run-all2"})
_SEEDING = frozenset({"reset", "dev"})
"""What follows `migrate` in the commands after which Prisma seeds."""
_RUN = frozenset({"run", "run-script", "rum", "urn"})
_ELSEWHERE = frozenset({"--prefix", "-C", "--cwd", "--dir"})
_ENDS = frozenset(";&|()")


@dataclass
class Followed:
    """What a command runs, as far as its text and the scripts show."""

    prisma: list[tuple[str, ...]] = field(default_factory=list)
    """Arguments of each call of Prisma."""
    directories: set[str] = field(default_factory=set)
    """Other directories that it goes to, or that a configuration is in."""
    scripts: bool = False
    """Whether it runs scripts of a package.json."""
    unreadable: bool = False
    """Whether a part of it can't be followed: its scripts call each other without end, or a quote has no end."""

    @property
    def resets(self) -> list[tuple[str, ...]]:
        """The calls after which Prisma seeds."""
        return [call for call in self.prisma if "migrate" in call and _SEEDING & set(call)]

    @property
    def seeds(self) -> bool:
        """Whether one of them does not say `--skip-seed`."""
        return any("--skip-seed" not in call for call in self.resets)


def follow_scripts(argv: Sequence[str], scripts: Mapping[str, list[str]]) -> Followed:
    """Follow a command. `scripts`: name -> the texts that package.json files have under it."""
    found = Followed()
    _command(list(argv), scripts, found, 0)
    return found


def _command(argv: list[str], scripts: Mapping[str, list[str]], found: Followed, depth: int) -> None:
    """Follow one command whose words are known."""
    if depth > _DEEPEST:
        found.unreadable = True
        return
    for place, word in enumerate(argv):
        rest = argv[place + 1 :]
        name = word.rpartition("/")[2]
        found.directories.update(_directory(word, rest))
        if re.search(r"\s", word):  # what a shell, `concurrently` or another program around it runs
            _text(word, scripts, found, depth + 1)
        elif name.partition("@")[0] == "prisma" or "/prisma/build/" in word:
            _prisma(rest, found)
            return
        elif name in _RUNNERS:
            _script(name, rest, scripts, found, depth)
        elif name in _SEVERAL:
            _several(rest, scripts, found, depth)
    for place, word in enumerate(argv[:-1]):
        if (
            word == "migrate" and argv[place + 1] in _SEEDING
        ):  # by a program with another name, or in a variable
            _prisma(argv[place:], found)
            return


def _directory(word: str, rest: list[str]) -> list[str]:
    """The directory that an option, or `cd`, leads to."""
    option, joined, value = word.partition("=")
    if word == "cd" or word in _ELSEWHERE:
        return rest[:1]
    return [value] if joined and option in _ELSEWHERE else []


def _several(patterns: list[str], scripts: Mapping[str, list[str]], found: Followed, depth: int) -> None:
    """Follow a program that runs several scripts, by their names or patterns of them."""
    found.scripts = True
    for pattern in patterns:
        for script in scripts:
            if fnmatchcase(script, pattern.replace("**", "*")):
                _run(script, [], scripts, found, depth)


def _prisma(arguments: list[str], found: Followed) -> None:
    found.prisma.append(tuple(arguments))
    for place, word in enumerate(arguments):
        option, joined, value = word.partition("=")
        if option == "--config":
            file = value if joined else "".join(arguments[place + 1 : place + 2])
            found.directories.add(file.rpartition("/")[0] or ".")


def _script(
    runner: str, words: list[str], scripts: Mapping[str, list[str]], found: Followed, depth: int
) -> None:
    found.scripts = True
    for place, word in enumerate(words):
        if word in _RUN:
            continue
        if word in scripts and (runner != "npm" or _RUN & set(words[:place])):
            rest = words[place + 1 :]
            if runner == "npm":  # options up to `--` are npm's own
                rest = rest[rest.index("--") + 1 :] if "--" in rest else []
            _run(word, rest, scripts, found, depth)
            return


def _run(
    name: str, arguments: list[str], scripts: Mapping[str, list[str]], found: Followed, depth: int
) -> None:
    for before_or_after in (f"pre{name}", f"post{name}"):
        for text in scripts.get(before_or_after, ()):
            _text(text, scripts, found, depth + 1)
    for text in scripts.get(name, ()):
        _text(" ".join([text, shlex.join(arguments)]) if arguments else text, scripts, found, depth + 1)


def _text(text: str, scripts: Mapping[str, list[str]], found: Followed, depth: int) -> None:
    """Follow the text of a shell command."""
    try:
        words = list(_words(text))
    except ValueError:  # a quote that does not end
        found.unreadable = True
        words = re.sub(r"[\"']", " ", text).split()
    command: list[str] = []
    for word in [*words, ";"]:
        if word and set(word) <= _ENDS:
            if command:
                _command(command, scripts, found, depth)
            command = []
        else:
            command.append(word)


def _words(text: str) -> Iterator[str]:
    lexer = shlex.shlex(
        text.replace("\\\n", " ").replace("\n", " ; ").replace("`", " ; "), posix=True, punctuation_chars=True
    )
    lexer.whitespace_split = True
    lexer.commenters = ""
    return iter(lexer)
