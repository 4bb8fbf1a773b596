"""Which host a pod's connection string means, seen from the daemon.

A pod and the daemon are on different machines. So an address that every machine has for itself, such as `localhost`,
means one server to the pod and another one to the daemon. It is refused, whichever way it is written.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_OWN_NAMES = frozenset(
    {
        "localhost",
        "localhost.localdomain",
        "localhost4",
        "localhost4.localdomain4",
        "localhost6",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
        "loopback",
    }
)
_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_own(host: str) -> bool:
    """Tell whether a host name, an address or a socket's directory means the machine that uses it.

    An IPv4 address is read as `inet_aton` does, which knows `127.1` and `2130706433` as well.
    """
    name = host.strip().removesuffix(".").lower()
    if not name or name.startswith(
        ("/", "@")
    ):  # a Unix socket: libpq's default, a directory, an abstract name
        return True
    if name in _OWN_NAMES or name.endswith(".localhost"):  # RFC 6761
        return True
    address = address_of(name)
    return address is not None and _is_own_address(address)


def address_of(host: str) -> _IPAddress | None:
    """Return the address that a host is written as; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host and not host[-1].isspace() else None
    except OSError:
        return None


def _is_own_address(address: _IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified or address.is_link_local


def outside(host: str, environment: str) -> str:
    """Name a host for use outside its namespace, where its short name does not resolve: `db` -> `db.qa-sandbox.svc`.

    Raises:
        PermanentError: `database-local-to-pod`, `database-several-hosts`.
    """
    if "," in host:
        raise PermanentError(
            Reason.DATABASE_SEVERAL_HOSTS,
            "the connection string names several hosts, and each connection may reach another one",
            hint="Give the service the one address that leads to the primary, or name a variable that holds it as "
            "`directUrlVariable` in the catalog.",
        )
    if is_own(host):
        raise local_to_pod("the connection string names localhost, a loopback address or a socket")
    if "." in host or address_of(host) is not None:
        return host
    return f"{host}.{environment}.svc"


async def check_resolves_elsewhere(host: str) -> None:
    """Refuse a name that resolves to an address of the daemon's own machine. What does not resolve at all passes.

    Raises:
        PermanentError: `database-local-to-pod`.
    """
    if address_of(host) is not None:
        return
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return  # the client says it better
    if any(is_own(str(address[0])) for *_, address in found):
        raise local_to_pod(f"{host} resolves to a loopback address here")


def local_to_pod(detail: str) -> PermanentError:
    """Make the error for an address that only the pod itself can use."""
    return PermanentError(
        Reason.DATABASE_LOCAL_TO_POD,
        f"{detail}, which is another server for resetd than for the pod",
        hint="Give the service the address of a Service, or name a variable with an address that resetd reaches, too, "
        "as `directUrlVariable` of the database in the catalog.",
    )
