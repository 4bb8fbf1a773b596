"""Builds the HTTP API as an ASGI application."""

from __future__ import annotations

from fastapi import FastAPI

from daemon.api import problems
from daemon.api.authentication import TokenBeforeBody
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
    freezes,
    health,
    holds,
    locks,
    log,
    plans,
    protected,
    refusals,
    resets,
    whoami,
)
from schemas.api import Problem

_DESCRIPTION = """\
Ask for resets of environments, watch them, approve them and resume them. `ID` in an address is a reset's id,
`ENVIRONMENT/NUMBER` or `ENVIRONMENT/@latest`. Errors are problems as in RFC 9457."""


def create_app(context: ApiContext) -> FastAPI:
    """Build the application that answers from `context`. It starts and stops nothing in the context."""
    app = FastAPI(
        title="resetd",
        version="1",
        description=_DESCRIPTION,
        # FastAPI's pages of documentation load their scripts from a public server.
        docs_url=None,
        redoc_url=None,
        responses={"default": {"description": "A problem", "content": {MEDIA_TYPE: {}}, "model": Problem}},
    )
    app.state.context = context
    problems.install(app)
    app.add_middleware(BodyLimit)
    # The middleware that is added last is asked first.
    app.add_middleware(TokenBeforeBody, context=context)
    app.include_router(health.router)
    for module in (
        resets,
        plans,
        events,
        log,
        acts,
        environments,
        locks,
        freezes,
        holds,
        protected,
        audit,
        backups,
        dead_letters,
        refusals,
        whoami,
    ):
        app.include_router(module.router, prefix="/api/v1")
    return app
