"""`resetd config`."""

from __future__ import annotations

from daemon.cli.configuration import settings_in_force
from daemon.cli.output import Format, Output, note, say, structured, table


def config(output: Output = Format.TABLE) -> None:
    """Print the settings in force, and where each comes from; secrets are masked."""
    from daemon.config.masked_settings import in_force, unknown
    from daemon.config.without_effect import NOTHING_ACTS, given_without_effect

    settings = settings_in_force()
    rows = in_force(settings)
    if not structured([row._asdict() for row in rows], output):
        if output is Format.NAME:
            for row in rows:
                say(row.name)
        else:
            table(["SETTING", "VALUE", "FROM"], [[row.name, row.value, row.origin] for row in rows])
    for variable in given_without_effect(settings):
        note(f"{variable}: {NOTHING_ACTS}")
    for name, meant in unknown():
        note(f"{name}: is no setting of resetd{f'; did you mean {meant}?' if meant else ''}")
