"""The shell scripts that run in the pod, as text for `sh -c`. Values reach them as arguments, never in their text."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Literal

Script = Literal["prepare", "launch", "follow", "poll", "give_up", "sweep", "discard"]


class Refusal(IntEnum):
    """Exit codes by which the scripts refuse. Every other one but 0 comes from the shell itself."""

    NO_DIRECTORY = 81
    OTHER_INCARNATION = 82
    NOT_WRITABLE = 83
    UNSURE = 84


@cache
def text(name: Script) -> str:
    """Return a script with its prelude. It travels in the exec's URL, so comments and indentation are left out."""
    lines = [
        line.strip()
        for part in ("prelude", name)
        for line in files(__name__).joinpath(f"{part}.sh").read_text("utf-8").splitlines()
    ]
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def argv(name: Script, *arguments: str) -> list[str]:
    """Return the command that runs a script with these arguments."""
    return ["sh", "-c", text(name), "resetd", *arguments]
