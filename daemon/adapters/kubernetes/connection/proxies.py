"""The proxy on the way to the API server, decided once for all clients.

aiohttp by itself looks for another variable for WebSockets (WSS_PROXY) than for REST, and takes no network in
NO_PROXY.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_SUPPORTED = frozenset({"http", "https"})


def proxy_for(server: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the proxy's address for an API server; None: there is none on the way.

    Args:
        server: The API server's address.
        configured: The kubeconfig's `proxy-url`, which goes before the environment's.
        environ: Where HTTPS_PROXY, HTTP_PROXY and NO_PROXY are read, as kubectl reads them.

    Raises:
        PermanentError: `kubernetes-unreachable`: the proxy speaks another protocol than HTTP, such as SOCKS.
    """
    parts = urlsplit(server)
    found = configured or _variable(f"{parts.scheme}_proxy", environ)
    if not found or (not configured and _is_exempt(parts.hostname or "", parts.port, environ)):
        return None
    proxy = found if "://" in found else f"http://{found}"
    scheme = urlsplit(proxy).scheme.lower()
    if scheme not in _SUPPORTED or not urlsplit(proxy).hostname:
        whose = "the kubeconfig's proxy-url" if configured else f"{parts.scheme.upper()}_PROXY"
        raise PermanentError(
            Reason.KUBERNETES_UNREACHABLE,
            f"{whose} names a proxy that can't be used: {proxy}",
            hint="Give it an HTTP proxy (http://HOST:PORT) that allows CONNECT; SOCKS is not supported.",
        )
    return proxy


def _variable(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _is_exempt(host: str, port: int | None, environ: Mapping[str, str]) -> bool:
    """Tell whether NO_PROXY names the host: by itself, by its domain, by a network, or by `*`."""
    host = host.lower()
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for entry in _variable("no_proxy", environ).lower().replace(" ", ",").split(","):
        name, colon, number = entry.rpartition(":")
        if colon and number.isdigit() and "]" not in number and name.count(":") == 0:
            if int(number) != (port or 443):
                continue
            entry = name  # noqa: PLW2901 - without its port
        if entry == "*" or entry.strip("[]") == host:
            return True
        if address is not None and "/" in entry and _contains(entry, address):
            return True
        if address is None and entry and host.endswith("." + entry.removeprefix("*").removeprefix(".")):
            return True
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _contains(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
