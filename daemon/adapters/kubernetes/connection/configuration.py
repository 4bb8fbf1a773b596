"""Reading the cluster's configuration: a kubeconfig, or the account of the daemon's own pod.

It is read as a whole each time, since any part may be rotated: tokens, certificates, the authority, the file itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from kubernetes_asyncio import client, config
from kubernetes_asyncio.config import incluster_config, kube_config

from daemon.adapters.kubernetes.connection.proxies import proxy_for
from daemon.ports.errors import PermanentError
from schemas.reasons import Reason

_PLUGIN_TIMEOUT_SECONDS = 30.0
"""For a kubeconfig's `exec` plugin, which has no time limit of its own."""
_TOKEN = "BearerToken"  # noqa: S105 - the client's name for it


@dataclass(frozen=True)
class KubernetesSettings:
    """Which cluster: an explicit kubeconfig; else the pod's own account; else the usual kubeconfig rules."""

    kubeconfig: str | None = None
    context: str | None = None


@dataclass(frozen=True)
class Loaded:
    """A configuration as it was read at one moment."""

    configuration: client.Configuration
    files: tuple[Path, ...]
    """The files that it was read from. When one changes, so may the configuration."""
    expires: datetime | None = None
    """When its credentials end, as far as an `exec` plugin said so."""

    @property
    def authorization(self) -> str:
        """The value of the header that shows who asks; empty where a certificate does."""
        return str(self.configuration.api_key.get(_TOKEN, ""))

    @property
    def connection(self) -> tuple[object, ...]:
        """All that a connection is made with. When it changes, other connections have to be made."""
        wanted = self.configuration
        contents = tuple(_content(path) for path in (wanted.ssl_ca_cert, wanted.cert_file, wanted.key_file))
        return (wanted.host, wanted.verify_ssl, wanted.tls_server_name, wanted.proxy, contents)


async def load(settings: KubernetesSettings) -> Loaded:
    """Read the configuration.

    Raises:
        PermanentError: `kubernetes-unreachable`: there is none that can be used.
    """
    try:
        async with asyncio.timeout(_PLUGIN_TIMEOUT_SECONDS):
            loaded = await _load(settings)
    except TimeoutError as error:
        raise unusable(f"its exec plugin gave nothing within {_PLUGIN_TIMEOUT_SECONDS:g} s") from error
    except (config.ConfigException, OSError) as error:
        raise unusable(str(error)) from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        # Messages of these errors may quote the file, which holds tokens.
        raise unusable(f"{settings.kubeconfig or 'kubeconfig'} can't be read as one") from error
    wanted = loaded.configuration
    wanted.proxy = proxy_for(str(wanted.host), wanted.proxy, os.environ)
    # A file's last line break would end the header; an empty file, which is just being written, is no token.
    scheme, _, token = wanted.api_key.pop(_TOKEN, "").strip().partition(" ")
    if token:
        wanted.api_key[_TOKEN] = f"{scheme} {token.strip()}"
    # No limit here: the client's pool counts streams as well, and a hundred of them would stop every other call.
    wanted.connection_pool_maxsize = 0
    return loaded


async def _load(settings: KubernetesSettings) -> Loaded:
    configuration = client.Configuration()
    if not settings.kubeconfig and not settings.context:
        try:
            return _load_in_cluster(configuration)
        except config.ConfigException:
            pass
    loader = await config.load_kube_config(
        config_file=settings.kubeconfig, context=settings.context, client_configuration=configuration
    )
    token = _token_file(loader)
    if token is not None and _content(str(token)):
        # As with kubectl, the file goes before a token that stands in the kubeconfig.
        configuration.api_key[_TOKEN] = f"Bearer {_content(str(token)).decode('ascii', 'replace')}"
    files = (*_kubeconfigs(settings), *((token,) if token else ()), *_tls_files(configuration))
    return Loaded(configuration, files, getattr(loader, "exec_plugin_expiry", None))


def _kubeconfigs(settings: KubernetesSettings) -> Iterable[Path]:
    paths = settings.kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    return (Path(path).expanduser() for path in paths.split(os.pathsep) if path)


def _token_file(loader: kube_config.KubeConfigLoader) -> Path | None:
    """Return the file that holds the user's token, if the kubeconfig names one."""
    user: Any = loader._user  # noqa: SLF001 - only the loader knows which user is meant
    name = user.safe_get("tokenFile") if user else None
    return Path(user.path or "").parent / name if name else None


def _load_in_cluster(configuration: client.Configuration) -> Loaded:
    config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)  # type: ignore[no-untyped-call]
    token = Path(incluster_config.SERVICE_TOKEN_FILENAME)
    return Loaded(configuration, (token, *_tls_files(configuration)))


def _tls_files(configuration: client.Configuration) -> Iterable[Path]:
    named = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    return (Path(path) for path in named if path)


def _content(path: str | None) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:
        return b""


def unusable(because: str) -> PermanentError:
    """Make the error for a configuration that can't be used."""
    return PermanentError(
        Reason.KUBERNETES_UNREACHABLE,
        f"no usable Kubernetes configuration: {because}",
        hint="Set RESETD_KUBECONFIG, or run the daemon in a pod with a service account.",
    )
