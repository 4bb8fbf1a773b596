"""The secret values of the pods that the daemon works in, in every form in which a command may print them.

A password that is printed alone has no shape: only who knows the value finds it. The values are in memory only.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

SHORTEST = 6
"""Characters of the shortest value that is masked: a shorter one is in too many words."""
MOST_VALUES = 2000
"""Values that are remembered beside those that are in use."""
BEGINS_WITH = 3
"""Characters of a value by which one that has not come whole is told; fewer begin any word."""
_LONGEST_BEGINNING = 16 * 1024
_ANSWERS_ENOUGH = 8
"""Characters of the shortest form in base64 that is masked: a part of one is in too many words as well."""

_BREAKS = re.compile(r"[\r\n]*")
_SECRET_FIELD = re.compile(
    r"""(?:^|[\s;,?&{])["']?(?P<name>[A-Za-z_][\w-]*)["']?\s*[=:]\s*(?P<value>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[^\s;,&"']+)"""
)
"""A field of a value that has several: libpq's keywords, .NET's and Redis' connection strings, JSON, YAML."""

_NAMED_LIKE_A_SECRET = re.compile(
    r"pass(word|wd|phrase)?(_|$)|pwd|secret|token|credential|(^|_)(api|access|private|signing|encryption|auth)_?key"
    r"|_key$|(^|_)auth(_|$)|(^|_)salt(_|$)|(^|_)dsn$",
    re.IGNORECASE,
)
_PUBLIC = re.compile(
    r"public|_(path|file|dir|ttl|name|id|url|host|port|user|type|alg(orithm)?)$", re.IGNORECASE
)
"""Names that speak of a secret and hold none: where it lies, how long it lives, whose it is."""


class _Forms:
    """All forms by their first characters: what a text holds is found in the time that the text takes to read.

    Threads may look while another one adds and removes: what they look at is replaced, and never changed.
    """

    def __init__(self) -> None:
        self._by_beginning: dict[str, tuple[str, ...]] = {}
        self.longest = 0
        """Characters of the longest form that was ever added."""

    def add(self, form: str) -> None:
        beginning = form[:BEGINS_WITH]
        self._by_beginning[beginning] = (*self._by_beginning.get(beginning, ()), form)
        self.longest = max(self.longest, len(form))

    def remove(self, form: str) -> None:
        beginning = form[:BEGINS_WITH]
        left = list(self._by_beginning.pop(beginning))
        left.remove(form)
        if left:
            self._by_beginning[beginning] = tuple(left)

    def at(self, text: str, place: int) -> Sequence[str]:
        """The forms that begin with the characters that stand there."""
        return self._by_beginning.get(text[place : place + BEGINS_WITH], ())

    def held_by(self, text: str) -> set[str]:
        """The forms that the text holds; those over several lines as they stand."""
        found = self._whole(text)
        squeezed = _BREAKS.sub("", text)
        if len(squeezed) < len(text):
            for form in self._whole(squeezed):
                found |= {each[0] for each in _over_lines(form).finditer(text)}
        return found

    def _whole(self, text: str) -> set[str]:
        return {
            form
            for place in range(len(text) - BEGINS_WITH + 1)
            for form in self.at(text, place)
            if text.startswith(form, place)
        }


class KnownValues:
    """The values of one process. Redaction has one, because whatever the process writes passes through it.

    `MOST_VALUES` are remembered, and all that are in use however many those are. Others go, the one whose use was the
    longest ago first; whoever uses a container again lets its values be learned again.
    """

    def __init__(self) -> None:
        self._forms: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._in_use: Counter[str] = Counter()
        self.never: frozenset[str] = frozenset()
        """Names of services and databases. Masked, they would make every plan and every error unreadable."""
        self._texts = _Forms()
        self._bytes = _Forms()
        """The same, as Latin-1 has their bytes."""

    def __len__(self) -> int:
        return len(self._forms)

    def learn(self, values: Iterable[str]) -> None:
        """Remember values, as used just now; those shorter than `SHORTEST`, and names (`never`), are left out."""
        for value in values:
            if len(value) < SHORTEST or value in self.never:
                continue
            if value not in self._forms:
                self._forms[value] = tuple(set(_forms(value)))
                for form in self._forms[value]:
                    self._texts.add(form)
                    self._bytes.add(_bytes_as_text(form))
            self._forms.move_to_end(value)
        self._forget_surplus()

    @contextmanager
    def in_use(self, values: Collection[str]) -> Iterator[None]:
        """Learn values that are not forgotten within the block."""
        self._in_use.update(values)
        try:
            self.learn(values)
            yield
        finally:
            self._in_use.subtract(values)
            self._in_use = +self._in_use
            self.learn(values)

    def forms_in(self, text: str) -> list[str]:
        """The forms of known values that the text holds, the longest first; those over several lines as they stand."""
        return sorted(self._texts.held_by(text), key=len, reverse=True)

    def forms_in_bytes(self, data: bytes) -> list[bytes]:
        """The same for bytes."""
        # Latin-1 maps each byte to one character and back.
        found = self._bytes.held_by(data.decode("latin-1"))
        return [form.encode("latin-1") for form in sorted(found, key=len, reverse=True)]

    def begun_in_bytes(self, data: bytes) -> tuple[int, bool] | None:
        """Where the data ends with the first part of a form: (where that begins, whether it tells most of the form).

        None where it does not. Behind a line break more of the form has to stand there: words go over lines, too.
        """
        text = data[-_LONGEST_BEGINNING:].decode("latin-1")
        before = len(data) - len(text)
        places = [at for at, character in enumerate(text) if character not in "\r\n"]
        squeezed = "".join(text[place] for place in places)
        found = (
            self._first_begun(string, text, where)
            for string, where in ((text, range(len(text))), (squeezed, places))
        )
        return min(((before + place, tells) for place, tells in filter(None, found)), default=None)

    def _first_begun(self, string: str, text: str, where: Sequence[int]) -> tuple[int, bool] | None:
        """The longest end of `string` that begins a form; `where` says where its characters stand in `text`."""
        forms = self._bytes
        for at in range(max(0, len(string) - forms.longest + 1), len(string) - BEGINS_WITH + 1):
            for form in forms.at(string, at):
                length = len(string) - at
                if length >= len(form) or not form.startswith(string[at:]):
                    continue
                if length >= SHORTEST or not re.search(r"[\r\n]", text[where[at] :]):
                    return where[at], length >= SHORTEST or 2 * length >= len(form)
        return None

    def _forget_surplus(self) -> None:
        if len(self._forms) <= MOST_VALUES:
            return
        unused = [value for value in self._forms if value not in self._in_use]
        self.forget(unused[: len(self._forms) - MOST_VALUES])

    def forget(self, values: Iterable[str]) -> None:
        """Forget values."""
        for value in values:
            for form in self._forms.pop(value, ()):
                self._texts.remove(form)
                self._bytes.remove(_bytes_as_text(form))


def _bytes_as_text(form: str) -> str:
    return form.encode("utf-8", "surrogateescape").decode("latin-1")


def _over_lines(form: str) -> re.Pattern[str]:
    """Find a form that was broken over lines, as `base64` and terminals do it."""
    return re.compile(_BREAKS.pattern.join(map(re.escape, form)))


KNOWN = KnownValues()
"""What this process knows."""


def secret_values(
    variables: Mapping[str, str], *, from_secrets: Iterable[str] = (), may_be_secret: Iterable[str] = ()
) -> frozenset[str]:
    """Return the secret values among a container's variables.

    - Variables that a Secret gives (`from_secrets`, by name), and those that are named like a secret.
    - Of those that a whole Secret may give (`may_be_secret`), the ones that look as if somebody had drawn them.
    - The password of each URL, as it stands there and decoded. The rest of the URL says where it leads, to people.
    - Never a user, a host or a database of one of the URLs.
    """
    given = set(from_secrets)
    given |= {
        name for name in may_be_secret if _is_drawn(variables.get(name, "")) and not _PUBLIC.search(name)
    }
    found: set[str] = set()
    names: set[str] = set()
    for name, value in variables.items():
        parts = _url_parts(value)
        if parts is not None:
            secrets, public = parts
            found |= secrets
            names |= public
        elif name in given or (_NAMED_LIKE_A_SECRET.search(name) and not _PUBLIC.search(name)):
            found.add(value)
            found |= set(_secret_fields(value))
            found |= {line for line in value.splitlines() if len(line) >= SHORTEST and "-----" not in line}
    return frozenset(value for value in found if len(value) >= SHORTEST and value not in names)


def _is_drawn(value: str) -> bool:
    """Whether a value looks drawn: ten characters and more without a space, with letters and digits, and no address."""
    return (
        re.fullmatch(r"\S{10,}", value) is not None
        and re.search(r"[A-Za-z]", value) is not None
        and re.search(r"[0-9]", value) is not None
        and not re.match(r"[\w.+-]*://|[./~]|[\w-]+(\.[\w-]+)+(:\d+)?(/|$)", value)
    )


def _secret_fields(value: str) -> Iterator[str]:
    """The secret fields of a value that has several, so that a command may print one of them alone."""
    for field in _SECRET_FIELD.finditer(value):
        if _NAMED_LIKE_A_SECRET.search(field["name"]) and not _PUBLIC.search(field["name"]):
            said = field["value"]
            quoted = said[:1] in "\"'" and said[:1] == said[-1:]
            yield re.sub(r"\\(.)", r"\1", said[1:-1]) if quoted else said


def _url_parts(value: str) -> tuple[set[str], set[str]] | None:
    """(the secrets, the names) of a URL; None where the value is none, or has no secret."""
    if "://" not in value:
        return None
    try:
        parts = urlsplit(value)
        password, user, host = parts.password, parts.username, parts.hostname
    except ValueError:
        return None
    secrets = {password, unquote(password)} if password else set()
    for name, each in parse_qsl(parts.query):
        if _NAMED_LIKE_A_SECRET.search(name):
            secrets |= {each, quote(each, safe="")}
    if not secrets:
        return None
    public = {user, unquote(user) if user else None, host, parts.path.strip("/")}
    return {each for each in secrets if each}, {each for each in public if each}


def _forms(value: str) -> Iterator[str]:
    """The value as it is, and as URLs, JSON (both also twice), shells, hexadecimal and base64 have it."""
    yield value
    yield quote(value, safe="")
    yield quote(value)
    yield quote(quote(value, safe=""), safe="")
    yield quote_plus(value)
    yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(value, safe=""))
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield json.dumps(json.dumps(value)[1:-1])[1:-1]
    yield shlex.quote(value)
    data = value.encode("utf-8", "surrogateescape")
    yield data.hex()
    yield data.hex().upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            yield from _in_base64(encode(b"\0" * before + data).decode(), before, len(data))


def _in_base64(encoded: str, before: int, length: int) -> Iterator[str]:
    """The characters that the value alone decides, where `before` bytes of something else stand before it."""
    first = -(-before * 8 // 6)
    last = (before + length) * 8 // 6
    part = encoded[first:last]
    if len(part) >= _ANSWERS_ENOUGH:
        yield part
