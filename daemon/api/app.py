"""The HTTP API: `create_app(context)` is an ASGI application."""

from __future__ import annotations

from fastapi import FastAPI

from daemon.api import problems
from daemon.api.body_limits import BodyLimit
from daemon.api.context import ApiContext
from daemon.api.problems import MEDIA_TYPE
from daemon.api.routes import (
    acts,
    audit,
    backups,
    dead_letters,
    environments,
    events,
    health,
    locks,
    log,
    plans,
    resets,
    whoami,
)
from schemas.api import Problem

_DESCRIPTION = """\
Resets of environments: ask, watch, agree, go on. `ID` in an address is a reset's id, `ENVIRONMENT/NUMBER` or
`ENVIRONMENT/@latest`. Errors are RFC 9457 problems."""


def create_app(context: ApiContext) -> FastAPI:
    """The application over one context; it starts and stops nothing of it."""
    app = FastAPI(
        title="resetd",
        version="1",
        description=_DESCRIPTION,
        # The pages of documentation would load their code from elsewhere.
        docs_url=None,
        redoc_url=None,
        responses={"default": {"description": "A problem", "content": {MEDIA_TYPE: {}}, "model": Problem}},
    )
    app.state.context = context
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.include_router(health.router)
    for part in (resets, plans, events, log, acts, environments, locks, audit, backups, dead_letters, whoami):
        app.include_router(part.router, prefix="/api/v1")
    return app
