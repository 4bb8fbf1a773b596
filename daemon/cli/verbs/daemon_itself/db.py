"""`resetd db`: look after the daemon's own state database. It needs no running daemon."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.configuration import make_data_directory, settings_in_force
from daemon.cli.exit_codes import EndError, Exit
from daemon.cli.options import Yes, confirm
from daemon.cli.output import note, say, table
from daemon.config.settings import Settings, SettingsError

if TYPE_CHECKING:
    from daemon.restored_state.lack import Lack

database = typer.Typer(no_args_is_help=True, help="resetd's own state database.")


@database.command("upgrade")
def upgrade() -> None:
    """Bring the schema up to this version. Repeating that does no harm."""
    with _state_database() as (url, migrations):
        migrations.upgrade(url)
        say(f"the schema is at {migrations.current(url)}")


@database.command("check")
def check() -> None:
    """Compare the schema with this version's, and check the chains of histories and audit.

    The exit code is 1 when something is wrong.
    """
    with _state_database() as (url, migrations):
        flaws = migrations.check(url) or asyncio.run(_broken_chains(url))
    for flaw in flaws:
        note(flaw)
    if flaws:
        raise typer.Exit(Exit.FAILED)
    say("the schema is this version's; histories and audit are as they were written")


@database.command("adopt")
def adopt(
    reason: Annotated[str | None, typer.Option("--reason", help="why; recorded, and needed to adopt")] = None,
    ended: Annotated[
        bool,
        typer.Option(
            "--ended", help="you looked: commands that Kubernetes knows nothing of have ended; recorded"
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    """Show what a state lacks that was restored from an older backup, and adopt it once a person agrees.

    What a newer state launched becomes `unknown`. None of it runs again before a person has said what became of it.
    """
    from daemon.adapters.store import embedded_lock

    with _state_database() as (url, _), embedded_lock(url):
        asyncio.run(_adopt(url, settings_in_force(), reason, ended=ended, yes=yes))


async def _adopt(url: str, settings: Settings, reason: str | None, *, ended: bool, yes: bool) -> None:
    from daemon.adapters.kubernetes.client import open_kubernetes
    from daemon.adapters.kubernetes.pods import KubernetesPods
    from daemon.adapters.store import open_store
    from daemon.adapters.system.clock import SystemClock
    from daemon.adapters.system.identifiers import new_boot_id
    from daemon.bootstrap import kubernetes_settings, marks_beside_backups
    from daemon.restored_state.adoption import Adoption
    from daemon.restored_state.lost_launches import StillAtWorkError

    @asynccontextmanager
    async def pods() -> AsyncIterator[KubernetesPods]:
        async with open_kubernetes(kubernetes_settings(settings)) as kubernetes:
            yield KubernetesPods(kubernetes)

    try:
        marks = marks_beside_backups(settings)
    except SettingsError as error:
        raise EndError(Exit.USAGE, str(error)) from error
    async with open_store(url) as store:
        adoption = Adoption(store, marks, SystemClock(), pods, owner=new_boot_id())
        lack = await adoption.look()
        if not lack.behind:
            say("the state has all that was launched from it: there is nothing to adopt")
            return
        _show(lack)
        if not reason:
            raise EndError(Exit.USAGE, "nothing was adopted", "Add --reason: it goes into the audit.")
        confirm("Adopt this state? What is listed becomes unknown, and a person has to resolve it.", yes=yes)
        try:
            await adoption.adopt(lack, actor=getpass.getuser(), reason=reason, ended=ended)
        except StillAtWorkError as error:
            for found in error.launches:
                note(f"{found.launch.attempt} {found.why}")
            running = any(not found.untold for found in error.launches)
            raise EndError(
                Exit.FAILED,
                "nothing was adopted: what is not recorded here may still run, and nothing would wait for it",
                "Wait for its end, or end it (its pod's end is one), or mend what keeps it from being looked at; then "
                "adopt again."
                if running
                else "Is this the right cluster? If so, look at its nodes, and at pg_stat_activity for statements "
                "at work; once nothing of it is left, adopt again with --ended.",
            ) from error
    say(f"adopted; {len(lack.known)} resets need an operator: resetd list --state needs-operator")


def _show(lack: Lack) -> None:
    newest = lack.newest
    say(f"state database {lack.state}")
    if lack.unmarked:
        say("no mark says how far it had come: is RESETD_BACKUP_URL the directory that it had, and mounted?")
        say(
            "if so, nothing tells what was launched since: look at pods and at pg_stat_activity before you adopt"
        )
    for name, marks in lack.beyond.items():
        whose = "of this state" if name == lack.state else f"of another state database, {name}"
        say(f"{len(marks)} marks {whose} are beyond it")
    if newest is not None:
        say(f"the newest: row {newest.position.number} of the outbox, {newest.at:%Y-%m-%d %H:%M:%S} UTC")
    if lack.forgotten_before is not None:
        until = f"{lack.forgotten_before:%Y-%m-%d %H:%M} UTC"
        say(f"marks from before {until} are pruned: what was launched then is not listed")
    rows = [
        [f"{reset.environment}/{reset.number}", reset.state.value, _steps(lack, reset.id)]
        for reset in lack.known
    ]
    rows += [
        [f"{launches[0].environment}: {reset_id}", "not in this state", _steps(lack, reset_id)]
        for reset_id, launches in lack.lost.items()
    ]
    if rows:
        table(["RESET", "STATE HERE", "LAUNCHED AND NOT RECORDED HERE"], rows)


def _steps(lack: Lack, reset_id: str) -> str:
    launches = [launch for found in lack.launches.values() for launch in found if launch.reset_id == reset_id]
    return (
        ", ".join(dict.fromkeys(launch.step for launch in launches)) or "(nothing; it has not come to rest)"
    )


async def _broken_chains(url: str) -> tuple[str, ...]:
    from daemon.adapters.store import open_store

    async with open_store(url) as store:
        return await store.broken_chains()


@contextmanager
def _state_database() -> Iterator[tuple[str, ModuleType]]:
    from daemon.adapters.store import migrations
    from daemon.ports.errors import PortError, TemporaryError

    settings = settings_in_force()
    make_data_directory(settings)
    try:
        yield settings.state_url.get_secret_value(), migrations
    except PortError as error:
        code = Exit.UNREACHABLE if isinstance(error, TemporaryError) else Exit.USAGE
        raise EndError(code, error.detail, error.hint or "RESETD_DATABASE_URL names the database.") from error
