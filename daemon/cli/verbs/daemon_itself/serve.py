"""`resetd serve`: run the daemon."""

from __future__ import annotations

import asyncio
import errno

from daemon.cli.configuration import catalog_errors, make_data_directory, settings_in_force
from daemon.cli.exit_codes import EndError, Exit
from daemon.config.settings import SettingsError


def serve() -> None:
    """Run the daemon until SIGTERM or Ctrl-C. Commands in pods go on, and the next start finds them."""
    from daemon.config.logging import set_up
    from daemon.config.yaml_documents import DocumentError
    from daemon.ports.errors import PortError

    settings = settings_in_force()
    set_up(settings.log_format, settings.log_level)
    with catalog_errors():
        make_data_directory(settings)
        try:
            from daemon.bootstrap import serve as run

            asyncio.run(run(settings))
        except (SettingsError, DocumentError) as error:
            raise EndError(Exit.USAGE, str(error)) from error
        except PortError as error:
            raise EndError(Exit.FAILED, error.detail, error.hint) from error
        except OSError as error:
            hint = "Is another one running already?" if error.errno == errno.EADDRINUSE else None
            raise EndError(Exit.FAILED, f"{error.strerror or error}", hint) from error
