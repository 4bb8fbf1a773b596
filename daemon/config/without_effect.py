"""Settings that nothing acts on yet. Whoever gives one may rely on it, and so is warned."""

from __future__ import annotations

import structlog

from daemon.config.environment_variables import variable_of
from daemon.config.settings import Settings
from schemas.catalog.catalog import Catalog
from statemachines.planning.without_effect import fields_without_effect

WITHOUT_EFFECT = (
    "oidc_issuer",
    "oidc_audience",
    "oidc_roles_claim",
)
"""Fields of `Settings` that are read and checked, and that nothing acts on. A test compares them with the code."""

NOTHING_ACTS = "nothing acts on it yet, so no new reset starts"
_log = structlog.get_logger()


def given_without_effect(settings: Settings) -> tuple[str, ...]:
    """Names of the given variables that have no effect. One that repeats its default counts as given."""
    return tuple(variable_of(name) for name in WITHOUT_EFFECT if name in settings.model_fields_set)


def warn_of_what_has_no_effect(settings: Settings, catalog: Catalog) -> None:
    """Log one warning for each given setting, and each field of the catalog, that has no effect.

    The warning names it and never shows its value.
    """
    for variable in given_without_effect(settings):
        _log.warning("settings.without-effect", setting=variable, detail=NOTHING_ACTS)
    for field in fields_without_effect(catalog):
        _log.warning("catalog.without-effect", field=field, detail=NOTHING_ACTS)
