"""`resetd config`: show the settings in force. It needs no running daemon."""

from __future__ import annotations

from daemon.cli.configuration import settings_in_force
from daemon.cli.output import Format, Output, answer, note, table


def config(output: Output = Format.TABLE) -> None:
    """Print the settings in force, and where each comes from. Secrets are masked."""
    from daemon.config.masked_settings import in_force, unknown
    from daemon.config.without_effect import NOTHING_ACTS, given_without_effect

    settings = settings_in_force()
    rows = in_force(settings)
    answer(
        [row._asdict() for row in rows],
        output,
        names=[row.name for row in rows],
        text=lambda: table(["SETTING", "VALUE", "FROM"], rows),
    )
    for variable in given_without_effect(settings):
        note(f"{variable}: {NOTHING_ACTS}")
    for name, meant in unknown():
        note(f"{name}: is no setting of resetd{f'; did you mean {meant}?' if meant else ''}")
