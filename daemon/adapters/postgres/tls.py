"""What a connection string says about TLS, in libpq's words.

| a string says | libpq is told |
| --- | --- |
| `sslmode=no-verify`, `ssl=no-verify` (node-postgres) | encrypted, no certificate is checked |
| `verify-...` with `sslaccept=accept_invalid_certs` (Prisma) | the same |
| `require` with `sslaccept=strict` (Prisma) | `verify-full` |
| `ssl=true` (JDBC, node-postgres) | `require` |
| `verify-full`, `verify-ca` | the same, with the certificates of RESETD_DATABASE_CA_FILE or of libpq's own file |
| the same where there is neither | `verify-full` with the system's certificates |
| `sslrootcert=system` | `verify-full` with the system's certificates |

A file that a string names (`sslrootcert`, `sslcert`) lies in the pod. The daemon does not have it. Where certificates
are to be checked, they are checked: what can't be checked is refused, never taken unchecked.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

OPTIONS = frozenset({"sslmode", "ssl", "sslaccept", "sslrootcert"})
"""The parameters of a connection string that `libpq_options` reads."""
HINT = (
    "Put the certificate of the database's authority into a file, and name it in RESETD_DATABASE_CA_FILE; or correct "
    "`sslmode` in the service's connection string."
)
_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
_UNVERIFIED = "no-verify"
_OF_SSL = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable"}
# libpq checks certificates in every mode once it finds its own file of authorities. One that can't exist prevents that.
_NO_FILE = "/dev/null/none"
_SYSTEMS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)


def libpq_options(said: Mapping[str, str], authorities: Path | None = None) -> dict[str, str]:
    """Return `sslmode` and `sslrootcert` as libpq wants them; nothing where the string says nothing.

    Args:
        said: The string's parameters.
        authorities: Certificates of the authorities that databases' certificates come from; None: the system's.

    Raises:
        PermanentError: `database-tls`: a mode that nobody knows, or no file of authorities to check with.
    """
    mode = said.get("sslmode", "").lower() or _mode_of_ssl(said.get("ssl", "").lower())
    if said.get("sslrootcert") == "system":
        mode = "verify-full"
    if mode == "require" and said.get("sslaccept") == "strict":
        mode = "verify-full"
    if not mode:
        return {}
    if mode not in _MODES | {_UNVERIFIED}:
        raise PermanentError(
            Reason.DATABASE_TLS,
            "the connection string's sslmode is none that libpq, node-postgres or Prisma knows",
            hint=HINT,
        )
    checked = mode in {"verify-ca", "verify-full"}
    if mode == _UNVERIFIED or (checked and said.get("sslaccept") == "accept_invalid_certs"):
        return {"sslmode": "require", "sslrootcert": _NO_FILE}
    return _checked(mode, authorities) if checked else {"sslmode": mode}


def _mode_of_ssl(value: str) -> str:
    return _OF_SSL.get(value, value)


def _checked(mode: str, authorities: Path | None) -> dict[str, str]:
    own = authorities or next((file for file in (_libpqs_file(),) if file and file.exists()), None)
    if own is not None:
        return {"sslmode": mode, "sslrootcert": str(own)}
    for file in _systems_files():
        if file.is_file():
            # With authorities that sign for anybody, `verify-ca` would take anybody's certificate.
            return {"sslmode": "verify-full", "sslrootcert": str(file)}
    raise PermanentError(
        Reason.DATABASE_TLS,
        f"the connection string wants {mode}, and there is no file of authorities to check with",
        hint=HINT,
    )


def _libpqs_file() -> Path | None:
    try:
        return Path.home() / ".postgresql" / "root.crt"
    except RuntimeError:  # an account without a home
        return None


def _systems_files() -> Iterator[Path]:
    """Files, because libpq's `system` is a path that was compiled into each copy of OpenSSL, and known since 16."""
    if named := os.environ.get("SSL_CERT_FILE"):
        yield Path(named)
    if found := ssl.get_default_verify_paths().cafile:
        yield Path(found)
    yield from map(Path, _SYSTEMS)
