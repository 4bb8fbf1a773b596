"""Which settings were given although nothing acts on them. Whoever gives one may rely on it, and is warned."""

from __future__ import annotations

import structlog

from daemon.config.environment_variables import variable_of
from daemon.config.settings import WITHOUT_EFFECT, Settings

NOTHING_ACTS = "nothing acts on it yet"
_log = structlog.get_logger()


def given_without_effect(settings: Settings) -> tuple[str, ...]:
    """Names of the given variables that have no effect. One that repeats its default counts as given."""
    return tuple(variable_of(name) for name in WITHOUT_EFFECT if name in settings.model_fields_set)


def warn_of_settings_without_effect(settings: Settings) -> None:
    """Log one warning for each given setting that has no effect. The warning names it and never shows its value."""
    for variable in given_without_effect(settings):
        _log.warning("settings.without-effect", setting=variable, detail=NOTHING_ACTS)
