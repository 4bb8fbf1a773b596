"""What PostgreSQL's messages mean: temporary or permanent, with a reason. For a failed login libpq gives text only."""

from __future__ import annotations

from daemon.adapters.postgres import tls
from daemon.adapters.postgres.urls import Address
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.redaction import redact
from schemas.reasons import Reason

# Of a server that speaks another language only the codes are understood. Failed logins carry none: they count as
# temporary there, until the retries are used up.
_REFUSED = (
    "password authentication failed",
    "no password supplied",
    "authentication failed",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied",
    "must be member of",
    "invalid connection option",
    "does not exist",
)
_UNREACHABLE = (
    "connection to server",
    "could not connect",
    "could not translate host name",
    "server closed the connection",
    "terminating connection",
    "the database system is",
    "too many clients",
    "remaining connection slots",
    "connection failed",
    "timeout expired",
)
# What OpenSSL and libpq say of certificates and modes; not `SSL SYSCALL error`, a connection that broke off.
_TLS = (
    "certificate verify failed",
    "does not match host name",
    "root certificate file",
    "could not read root certificate",
    "server does not support SSL, but SSL was required",
    "SSL support is not compiled in",
    "requires a valid client certificate",
    "certificate required",
    "unsupported protocol",
    "no protocols available",
    "tlsv1 alert",
    "tlsv13 alert",
    "sslv3 alert",
    "wrong version number",
    "SSL off",
    "no encryption",
)
_REFUSED_CODES = ("28", "3D", "42")
_DISK_FULL = "No space left on device"
ALL_ROWS = (
    "A dump needs a role that sees every row of every table: their owner without FORCE ROW LEVEL SECURITY, or one "
    "with BYPASSRLS. `directUrlVariable` of the database in the catalog may name a variable with its URL."
)
"""The next step where rows or tables are hidden from the role."""
DIRECT = (
    "Name a variable that leads past the pooler as `directUrlVariable` of the database in the catalog, or give the "
    "service the database's own address."
)
"""The next step where a pooler answers."""
_STATEMENT_POOLING = "statement pooling mode"  # PgBouncer's refusal of BEGIN
_HIDDEN = ("row-level security", "permission denied for")
_LOCK_TIMEOUTS = ("lock timeout", "deadlock detected")


def connection_error(address: Address, message: str, code: str | None = None) -> PortError:
    """Make the error for a connection or a query that failed; `code` is its SQLSTATE, where it has one."""
    message = one_line(address.without_secret(message))
    if _STATEMENT_POOLING in message:
        return PermanentError(Reason.DATABASE_POOLED, f"{address}: {message}", hint=DIRECT)
    if code is None and any(text in message for text in _TLS):
        return PermanentError(Reason.DATABASE_TLS, f"{address}: {message}", hint=tls.HINT)
    if (code or "").startswith(_REFUSED_CODES) or any(text in message for text in _REFUSED):
        return PermanentError(Reason.DATABASE_UNIDENTIFIED, f"{address}: {message}")
    return TemporaryError(Reason.DATABASE_UNREACHABLE, f"{address}: {message}")


def program_error(address: Address, program: str, message: str) -> PortError:
    """Make the error for pg_dump, pg_restore or psql that ended with another code than 0."""
    message = one_line(address.without_secret(message))
    detail = f"{program} of {address}: {message}"
    if _DISK_FULL in message:
        return TemporaryError(Reason.BACKUP_FAILED, detail, hint="Free space in the backup store.")
    if any(text in message for text in _LOCK_TIMEOUTS):
        return TemporaryError(Reason.BACKUP_FAILED, detail, hint="Somebody else holds locks; try again.")
    if any(text in message for text in _TLS):
        return PermanentError(Reason.DATABASE_TLS, detail, hint=tls.HINT)
    if any(text in message for text in _HIDDEN):
        return PermanentError(Reason.BACKUP_FAILED, detail, hint=ALL_ROWS)
    if any(text in message for text in _UNREACHABLE) and not any(text in message for text in _REFUSED):
        return TemporaryError(Reason.DATABASE_UNREACHABLE, detail)
    return PermanentError(Reason.BACKUP_FAILED, detail)


def one_line(text: str, limit: int = 500) -> str:
    """Return the end of a message, on one line, without secrets: they are masked before it is cut."""
    return redact(" ".join(text.split()))[-limit:]
