"""Git as far as a branch needs it: blobs, trees, commits and refs in a bare repository that `git` itself can read.

An object's name is the sha-1 of its bytes, as in git: the same tree, parents, author, time and message always give the
same commit.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

NOTHING = "0" * 40
"""The object id that means "no ref"."""

_FILE_MODE = b"100644"


@dataclass(frozen=True)
class Commit:
    """A commit object that was read."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    name: str
    email: str
    at: datetime
    message: str


class RefError(Exception):
    """A ref update is refused; the text is for the answer."""


class ForbiddenError(RefError):
    """The account lacks a permission."""


@dataclass(frozen=True)
class RefUpdate:
    """One ref update of several that are made together.

    `before` is the object id that the ref must have now; None: any; NOTHING: the ref must not exist.
    """

    name: str
    after: str
    before: str | None = None
    force: bool = False


class GitRepository:
    """A bare repository in `directory`, made on first use; refs are full names such as `refs/heads/main`."""

    def __init__(self, directory: Path, *, default_branch: str = "main") -> None:
        self._directory = directory
        if not (directory / "HEAD").exists():
            (directory / "objects").mkdir(parents=True)
            (directory / "refs" / "heads").mkdir(parents=True)
            (directory / "refs" / "tags").mkdir(parents=True)
            (directory / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
            (directory / "HEAD").write_text(f"ref: refs/heads/{default_branch}\n")

    @property
    def default_branch(self) -> str:
        """The short name of the default branch."""
        return (self._directory / "HEAD").read_text().strip().removeprefix("ref: refs/heads/")

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """The object ids of the refs by their full names, sorted."""
        root = self._directory / "refs"
        found = {
            f"refs/{path.relative_to(root).as_posix()}": path.read_text().strip()
            for path in root.rglob("*")
            if path.is_file()
        }
        return {name: found[name] for name in sorted(found) if name.startswith(prefix)}

    def ref(self, name: str) -> str | None:
        """The object id of a ref; None where there is no such ref."""
        path = self._directory / name
        return path.read_text().strip() if name.startswith("refs/") and path.is_file() else None

    def update(self, updates: Sequence[RefUpdate]) -> None:
        """Make all updates or none.

        Raises:
            RefError: one of the updates is refused.
        """
        for update in updates:
            self._check(update)
        for update in updates:
            path = self._directory / update.name
            if update.after == NOTHING:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(update.after + "\n")

    def commit(
        self,
        files: Mapping[str, str],
        *,
        parents: Sequence[str],
        message: str,
        at: datetime,
        author: tuple[str, str] = ("Sandbox", "sandbox@fuse.example"),
    ) -> str:
        """Write a commit of exactly these files (paths without folders); returns its id."""
        entries = b"".join(
            b"%b %b\x00%b" % (_FILE_MODE, name.encode(), bytes.fromhex(self._write("blob", text.encode())))
            for name, text in sorted(files.items())
        )
        tree = self._write("tree", entries)
        who = f"{author[0]} <{author[1]}> {int(at.timestamp())} +0000"
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {who}", f"committer {who}", "", message]
        return self._write("commit", "\n".join(lines).encode() + b"\n")

    def files(self, sha: str) -> dict[str, str]:
        """The files of a commit."""
        data = self._read("tree", self.read(sha).tree)
        found = {}
        while data:
            head, _, rest = data.partition(b"\x00")
            found[head.split(b" ", 1)[1].decode()] = self._read("blob", rest[:20].hex()).decode()
            data = rest[20:]
        return found

    def read(self, sha: str) -> Commit:
        """Read a commit by its id; KeyError when there is none."""
        head, _, message = self._read("commit", sha).decode().partition("\n\n")
        lines = [line.split(" ", 1) for line in head.splitlines()]
        who, _, when = dict((key, value) for key, value in lines)["author"].rpartition("> ")  # noqa: C402 - each is a list of two
        name, _, email = who.partition(" <")
        return Commit(
            sha=sha,
            tree=lines[0][1],
            parents=tuple(value for key, value in lines if key == "parent"),
            name=name,
            email=email,
            at=datetime.fromtimestamp(int(when.split()[0]), UTC),
            message=message.rstrip("\n"),
        )

    def history(self, sha: str) -> Iterator[Commit]:
        """A commit and all commits before it, newest first, each once."""
        waiting, seen = [self.read(sha)], {sha}
        while waiting:
            waiting.sort(key=lambda commit: commit.at)
            commit = waiting.pop()
            yield commit
            for parent in commit.parents:
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(self.read(parent))

    def has(self, sha: str) -> bool:
        """Whether there is an object of this id."""
        return self._path(sha).exists()

    def _check(self, update: RefUpdate) -> None:
        now = self.ref(update.name)
        if update.before is not None and (now or NOTHING) != update.before:
            raise RefError(f"{update.name} is at {now or NOTHING} but expected {update.before}")
        if update.after == NOTHING:
            if now is None:
                raise RefError("Reference does not exist")
            return
        if not self.has(update.after):
            raise RefError("Object does not exist")
        if any(name != update.name and f"{name}/".startswith(f"{update.name}/") for name in self.refs()):
            raise RefError(f"{update.name} is a folder of other references")
        ahead = now is None or any(commit.sha == now for commit in self.history(update.after))
        if not ahead and not update.force:
            raise RefError("Update is not a fast forward")

    def _path(self, sha: str) -> Path:
        return self._directory / "objects" / sha[:2] / sha[2:]

    def _write(self, kind: str, data: bytes) -> str:
        whole = f"{kind} {len(data)}".encode() + b"\x00" + data
        sha = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        path = self._path(sha)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(whole))
        return sha

    def _read(self, kind: str, sha: str) -> bytes:
        path = self._path(sha)
        if not path.exists():
            raise KeyError(sha)
        head, _, data = zlib.decompress(path.read_bytes()).partition(b"\x00")
        if head.split()[0].decode() != kind:
            raise KeyError(sha)
        return data
