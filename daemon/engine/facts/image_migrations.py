"""Which migrations an image carries, as its container lists them."""

from __future__ import annotations

from daemon.engine.facts.short_answers import no_answer
from daemon.ports.pods.cluster import Cluster, Pod
from schemas.checks import KnownLedger, MigrationsCheck
from statemachines.steps.database_checks import carried

_TIMEOUT = 60.0
"""Seconds; `npx` alone takes 2.3 s on a small machine."""

# A directory that is not there lists nothing. Prisma's migrations are directories with a script.
_OF_PRISMA = (
    'cd -- "$1" 2>/dev/null || exit 0; '
    'for one in */migration.sql; do if [ -f "$one" ]; then printf "%s\\n" "${one%/*}"; fi; done'
)
# Others are files. What a compiler writes beside them is none.
_OF_OTHERS = (
    'cd -- "$1" 2>/dev/null || exit 0; '
    "for one in *; do case $one in *.map | *.d.ts | *.d.mts | *.d.cts) continue ;; esac; "
    'if [ -f "$one" ]; then printf "%s\\n" "$one"; fi; done'
)


async def image_migrations(cluster: Cluster, pod: Pod, check: MigrationsCheck) -> tuple[str, ...]:
    """List the ids of the migrations that the image carries; empty where it shows none.

    Raises:
        TemporaryError: `check-failed`: the list ended with another exit code than 0.
        PortError: the container could not be asked.
    """
    argv = check.list
    if argv is None:
        script = _OF_PRISMA if check.ledger is KnownLedger.PRISMA else _OF_OTHERS
        argv = ("sh", "-c", script, "sh", check.directory or ".")
    result = await cluster.read(pod, argv, timeout=_TIMEOUT)
    if result.exit_code != 0:
        raise no_answer(f"the list of migrations in {pod.name}", result)
    return carried(check, result.stdout.decode(errors="replace").splitlines())
