"""Sets up structured logs: a JSON object a line, or text on a terminal. Secrets are removed from every value."""

from __future__ import annotations

import logging.config
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from daemon.redaction import redact_value

_QUIET = {
    # At `info` these log every request and every heartbeat.
    "WARNING": ("aiokafka", "httpx", "httpcore", "uvicorn", "uvicorn.access", "alembic", "github"),
    # It warns of each request that is none: anybody could fill the disk.
    "ERROR": ("uvicorn.error",),
}
"""Level -> loggers of libraries that log what is at least of that level."""


def set_up(log_format: Literal["json", "text"] | None, level: str) -> None:
    """Send structlog and the standard library's logging to stderr in one form.

    `log_format` None: text where stderr is a terminal, else JSON.
    """
    chosen = log_format or ("text" if sys.stderr.isatty() else "json")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": _rendering(chosen),
                }
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stderr",
                    "formatter": "structured",
                }
            },
            "root": {"handlers": ["stderr"], "level": level.upper()},
            "loggers": {
                name: {"level": least, "handlers": [], "propagate": True}
                for least, names in _QUIET.items()
                for name in names
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def redacting(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Remove secrets from every value of a log event, the text of a traceback included: a structlog processor."""
    return {key: redact_value(value if _plain(value) else str(value)) for key, value in event.items()}


def _plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | dict | list | tuple)


def _rendering(chosen: str) -> list[Processor]:
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if chosen == "text"
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        # The traceback becomes text here, so that secrets are removed from it like from the rest.
        structlog.processors.format_exc_info,
        redacting,
        renderer,
    ]
