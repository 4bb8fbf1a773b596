"""The tokens as their file has them now: it is read again, so that a token that was taken out lets nobody in."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from daemon.api.tokens import Caller, Tokens, operator_token, parse_operator_token, parse_tokens
from daemon.config.settings import Settings
from daemon.config.yaml_documents import DocumentError, Flaw
from daemon.ports.clock import Clock

LAST_GOOD_SECONDS = 60.0
"""Seconds for which the last tokens that could be read count on while the file can't be used. Somebody may be writing
it. Who took a token out and broke the file with it relies on the token's end."""

_log = structlog.get_logger()


class TokensUnreadableError(Exception):
    """For too long the file can't be used, so nobody is known. The text names the file and what is wrong with it."""


class TokenFile:
    """The tokens of one file. Each question reads the file, and parses it where it says something else than before.

    What is compared is the content. So it makes no difference whether the file was written, replaced, or is a link that
    leads elsewhere now, as in a volume of Kubernetes.

    Args:
        parse: makes tokens of the file's text; raises DocumentError.
        seconds: a clock that only goes forward.
    """

    def __init__(
        self, path: Path, parse: Callable[[str], Tokens], *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file for the first time.

        Raises:
            DocumentError: the file can't be used; the error names file, line and field.
        """
        self._path = path
        self._parse = parse
        self._seconds = seconds
        self._content = self._text()
        self._tokens = parse(self._content)
        self._wrong: str | None = None
        self._wrong_content: str | None = None
        self._wrong_since = 0.0

    def caller(self, secret: str, *, now: datetime) -> Caller | None:
        """Find the caller of a token; None where the token is unknown or has expired.

        Raises:
            TokensUnreadableError: the file can't be used for longer than `LAST_GOOD_SECONDS`.
        """
        return self._known().caller(secret, now=now)

    def knows(self, caller: Caller, *, now: datetime) -> bool:
        """Whether a caller's token is still in the file as it was, and has not expired.

        Raises:
            TokensUnreadableError: as `caller`.
        """
        return self._known().knows(caller, now=now)

    def approvers(self, environments: Collection[str], *, now: datetime) -> frozenset[str]:
        """Return the subjects of whom one token lets them approve in each of those environments now.

        While the file can't be used, these are those of the last one that could be.
        """
        self.wrong()
        return self._tokens.approvers(environments, now=now)

    def wrong(self) -> str | None:
        """Read the file once more, and say why it can't be used, by its name; None where it can."""
        try:
            content = self._text()
        except DocumentError as error:
            self._note(None, str(error))
            return self._wrong
        if content == self._content:
            self._mended()
        elif self._wrong is None or content != self._wrong_content:
            self._read(content)
        return self._wrong

    def _known(self) -> Tokens:
        """Raises TokensUnreadableError."""
        wrong = self.wrong()
        if wrong is not None and self._seconds() - self._wrong_since > LAST_GOOD_SECONDS:
            raise TokensUnreadableError(wrong)
        return self._tokens

    def _read(self, content: str) -> None:
        try:
            tokens = self._parse(content)
        except DocumentError as error:
            self._note(content, str(error))
            return
        self._tokens, self._content = tokens, content
        self._mended()
        _log.info("tokens.read-again", file=str(self._path), tokens=len(tokens))

    def _note(self, content: str | None, wrong: str) -> None:
        if self._wrong is None:
            self._wrong_since = self._seconds()
        if self._wrong != wrong:
            _log.error("tokens.unreadable", detail=wrong, last_good_for=f"{LAST_GOOD_SECONDS:.0f}s")
        self._wrong, self._wrong_content = wrong, content

    def _mended(self) -> None:
        if self._wrong is not None:
            _log.info("tokens.readable", file=str(self._path))
        self._wrong = self._wrong_content = None

    def _text(self) -> str:
        """Raises DocumentError."""
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise DocumentError([Flaw(str(self._path), 1, "", f"can't be read: {reason}")]) from error


def load_tokens(settings: Settings) -> TokenFile:
    """Load the tokens of the file `RESETD_API_TOKENS`. Without that setting, the operator's token is the only one.

    Raises:
        DocumentError: the file can't be used; the error names file, line and field.
    """
    if settings.api_tokens is not None:
        path = settings.api_tokens
        return TokenFile(path, partial(parse_tokens, file=str(path)))
    path = settings.operator_token_file
    operator_token(path)
    return TokenFile(path, partial(parse_operator_token, file=str(path)))


class TokenApprovers:
    """Implements `daemon.ports.approvers.Approvers` by the file of tokens."""

    def __init__(self, tokens: TokenFile, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    def of(self, environments: Collection[str]) -> frozenset[str]:
        """See the port."""
        return self._tokens.approvers(environments, now=self._clock.now())
