"""The error of a generator whose sources do not say enough."""

from __future__ import annotations

from collections.abc import Sequence


class Incomplete(Exception):  # noqa: N818 - said of a document, not of the program
    """One line for each thing that is missing."""

    def __init__(self, document: str, missing: Sequence[str]) -> None:
        super().__init__("\n".join(f"{document}: {flaw}" for flaw in missing))
        self.missing = tuple(missing)
