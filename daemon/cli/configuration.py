"""Settings and catalog for the verbs that work without a running daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.cli.exit_codes import EndError, Exit
from daemon.config.settings import Settings, SettingsError, load


def settings_in_force() -> Settings:
    """Read the daemon's settings.

    Raises:
        EndError: a setting is wrong.
    """
    try:
        return load()
    except SettingsError as error:
        raise EndError(Exit.USAGE, str(error)) from error


def make_data_directory(settings: Settings) -> None:
    """Make RESETD_DATA_DIR, and let only its owner read what this process writes from now on.

    State, dumps and kept output hold clients' data.

    Raises:
        EndError: the directory can't be made.
    """
    os.umask(0o077)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        detail = f"RESETD_DATA_DIR: {settings.data_dir} can't be made: {error.strerror}"
        raise EndError(Exit.USAGE, detail) from error


@contextmanager
def catalog_errors() -> Iterator[None]:
    """End the command with exit code 2 where the catalog can't be used.

    Raises:
        EndError: what is wrong, and the verb that checks a file.
    """
    from daemon.config.catalog_file import CatalogError

    try:
        yield
    except CatalogError as error:
        raise EndError(Exit.USAGE, str(error), "`resetd catalog check FILE` checks a file.") from error
