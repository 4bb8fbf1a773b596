"""The seed that an image configures for its migration tool, as its container shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from daemon.ports.errors import TemporaryError
from daemon.ports.pods.cluster import Pod, Result
from daemon.redaction import redact
from schemas.reasons import Reason
from statemachines.steps.tool_seeds import (
    Answer,
    FileKind,
    ImageFile,
    Loaded,
    SeedAnswer,
    follow,
    judge,
    to_load,
)

_TIMEOUT = 60.0
"""Seconds."""
_ROUNDS = 4
"""How often directories that the scripts lead to are looked into."""
_SHOWN = 500
_LOOKED_AT = 16_384
"""Bytes that are masked before the first ones of them are shown."""
_LOADS_KEPT = 256
_END = b"end - .\n"

# Prints `KIND SIZE PATH`, and so many bytes, for each file that Prisma reads there: the nearest package.json, the
# configurations beside it, and the package.json of Prisma itself. A size of `-`: it can't be read.
_SCRIPT = r"""
show() {
  [ -e "$2" ] || [ -L "$2" ] || return 0
  if size=$(wc -c 2>/dev/null <"$2") && [ "$size" -le 1048576 ]; then
    printf '%s %d %s\n' "$1" "$((size))" "$2"
    cat -- "$2" || exit 1
    printf '\n'
  else
    printf '%s - %s\n' "$1" "$2"
  fi
}
configs() {
  for end in ts mts cts js mjs cjs; do
    show config "$1/prisma.config.$end"
    show config "$1/.config/prisma.$end"
  done
}
for where do
  (
    cd -- "$where" 2>/dev/null || { printf 'missing - %s\n' "$where"; exit 0; }
    here=$(pwd -P)
    here=${here%/}
    configs "$here"
    start=$here package='' prisma=''
    while :; do
      if [ -z "$package" ] && { [ -e "$here/package.json" ] || [ -L "$here/package.json" ]; }; then
        package=found
        show package "$here/package.json"
        [ "$here" = "$start" ] || configs "$here"
      fi
      if [ -z "$prisma" ] && [ -e "$here/node_modules/prisma/package.json" ]; then
        prisma=found
        show prisma "$here/node_modules/prisma/package.json"
      fi
      [ -n "$here" ] || break
      here=${here%/*}
    done
  ) || exit 1
done
printf 'end - .\n'
"""

# Prisma's own loader says what a configuration comes to that takes parts from elsewhere. Each Prisma command loads it
# the same way, so that nothing runs that the handshake has not run. A configuration may read the arguments.
_LOADER = r"""
const { createRequire } = require('node:module');
const [file] = process.argv.slice(1);
const here = createRequire(file);
const config = createRequire(here.resolve('prisma/package.json'))('@prisma/config');
config.loadConfigFromFile({ configFile: file }).then((found) => {
  if (found.error || found.resolvedPath !== file) process.exit(1);
  process.stdout.write(`\nseed ${JSON.stringify(found.config.migrations?.seed ?? null)}\n`, () => process.exit(0));
}, () => process.exit(1));
"""
_LOADED = re.compile(rb"^seed (null|\".*\")$", re.MULTILINE)


class Asked(Protocol):
    """Runs short commands in containers."""

    async def read(
        self, pod: Pod, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None
    ) -> Result:
        """See `daemon.ports.pods.cluster.Cluster`."""
        ...


Seen = dict[tuple[str, tuple[str, ...]], list[ImageFile]]
"""(containerID, directories) -> what was read there."""
Loads = dict[tuple[str, str, str, tuple[str, ...]], Loaded]
"""(containerID, configuration, its text, arguments) -> what the tool's loader made of it."""


async def configured_seed(
    cluster: Asked,
    pod: Pod,
    argv: Sequence[str],
    *,
    declared: bool,
    seen: Seen | None = None,
    loads: Loads | None = None,
) -> SeedAnswer:
    """Say whether the command would run a seed that the image configures. See `tool_seeds.judge`.

    Args:
        cluster: Where the container is.
        pod: The container.
        argv: The command.
        declared: Whether the catalog says that the command resets.
        seen: What was read before and need not be read again. It is filled.
        loads: What was loaded before, as `seen`.

    Raises:
        TemporaryError: `check-failed`: the container gave no answer.
        PortError: the container could not be asked.
    """
    files: list[ImageFile] = []
    wanted, known = {"."}, set[str]()
    first = follow(argv, ())
    if not declared and not first.scripts and not first.resets:
        return judge(argv, (), declared=False)
    wanted |= first.directories
    for _ in range(_ROUNDS):
        key = (pod.container_id, tuple(sorted(wanted - known)))
        if seen is None or key not in seen:
            read = await _files(cluster, pod, key[1])
            if seen is not None:
                seen[key] = read
        else:
            read = seen[key]
        files += [file for file in read if file not in files]
        known |= wanted
        wanted = follow(argv, files).directories
        if wanted <= known:
            break
    answer = judge(argv, files, declared=declared)
    if answer.answer is Answer.UNCLEAR:
        answer = await _with_loaded(cluster, pod, argv, files, declared, {} if loads is None else loads)
    return SeedAnswer(answer.answer, redact(answer.detail))


async def _with_loaded(
    cluster: Asked, pod: Pod, argv: Sequence[str], files: Sequence[ImageFile], declared: bool, loads: Loads
) -> SeedAnswer:
    """Judge once more, where the tool's loader says what a configuration comes to: for each call, the worst answer."""
    answers = []
    for call in follow(argv, files).resets or [()]:
        known = list(files)
        for file in to_load(files):
            key = (pod.container_id, file.path, file.text or "", tuple(call))
            loaded = loads.get(key) or await _load(cluster, pod, file.path, call)
            known[known.index(file)] = replace(file, loaded=loaded)
            if loaded is not None:  # no answer may be one the next time
                if len(loads) >= _LOADS_KEPT:
                    loads.clear()
                loads[key] = loaded
        answers.append(judge(argv, known, declared=declared))
    worst = [Answer.NONE, Answer.UNCLEAR, Answer.CONFIGURED]
    return max(answers, key=lambda answer: worst.index(answer.answer))


async def _load(cluster: Asked, pod: Pod, path: str, arguments: Sequence[str]) -> Loaded | None:
    """Ask the tool's loader; None: it gives no answer."""
    result = await cluster.read(pod, ("node", "-e", _LOADER, "--", path, *arguments), timeout=_TIMEOUT)
    said = _LOADED.findall(result.stdout) if result.exit_code == 0 else []
    return Loaded(json.loads(said[-1])) if said else None


async def _files(cluster: Asked, pod: Pod, directories: Sequence[str]) -> list[ImageFile]:
    result = await cluster.read(pod, ("sh", "-c", _SCRIPT, "sh", *directories), timeout=_TIMEOUT)
    if result.exit_code == 0:
        try:
            return _parsed(result.stdout)
        except ValueError:
            pass
    listed, told = (
        redact(said.decode(errors="replace")) for said in (result.stdout[:_LOOKED_AT], result.stderr)
    )
    said = (listed[:_SHOWN] + told).strip()
    raise TemporaryError(
        Reason.CHECK_FAILED,
        f"what {pod.name} configures for Prisma could not be read (exit code {result.exit_code}): {said[-_SHOWN:]}",
    )


def _parsed(said: bytes) -> list[ImageFile]:
    """Take the files apart.

    Raises:
        ValueError: the answer is not whole.
    """
    files: list[ImageFile] = []
    while said != _END:
        head, _, said = said.partition(b"\n")
        kind, size, path = head.decode(errors="replace").split(" ", 2)
        text = None
        if size != "-":
            content, said = said[: int(size)], said[int(size) :]
            if len(content) != int(size) or not said.startswith(b"\n"):
                raise ValueError("a file is not whole")
            text, said = content.decode(errors="replace"), said[1:]
        files.append(ImageFile(FileKind(kind), path, text))
    return files
