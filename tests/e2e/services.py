"""The real services in pods of the real cluster: Prisma, TypeORM and nest-commander themselves, no stand-ins.

RESETD_E2E_SERVICES is a directory with a folder for each service, `shared`, and `node_modules` of all of them, prepared
as its README says. Each service's folder is copied, since its commands write into it (`prisma generate`); a test may
change the copy, which is the service's image.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.fleet import SERVICES
from sandbox.platform.platform import Platform
from tests.e2e.cluster import RealCluster, application, namespace
from tests.e2e.deployments import SLEEPS, Mount, deployment, variables
from tests.integration.stand.shipped_catalog import shipped_catalog, write_catalog
from tests.integration.stand.waiting import wait_for

ORDER = ("los-core-api", "data-builder-api", *SERVICES[2:])
"""The seed of the real data-builder-api reads los-core's tenants, so that los-core is seeded first."""
_QUIET = {"CHECKPOINT_DISABLE": "1", "NO_UPDATE_NOTIFIER": "1", "npm_config_update_notifier": "false"}
_CORE = "los-core-api"


def catalog(directory: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """The file of the shipped catalog in the order of these services, with a change to one of them by its name."""
    held = shipped_catalog()
    held["order"] = list(ORDER)
    if change is not None:
        change({one["name"]: one for one in held["services"]})
    return write_catalog(directory, held)


@dataclass(frozen=True)
class RealServices:
    """The six services in one namespace."""

    prepared: Path
    images: Path
    cluster: RealCluster
    platform: Platform
    environment: str

    def start(self) -> None:
        """Make the namespace and the pods anew, and wait until all are ready."""
        self.cluster.remove_namespace(self.environment)
        self.cluster.apply(namespace(self.environment), namespace("argocd"), application(self.environment))
        for service in SERVICES:
            shutil.copytree(self.prepared / service, self.image(service), symlinks=True)
            self.cluster.apply(self._deployment(service, {}))
        self._until_ready()

    def image(self, service: str) -> Path:
        """The service's folder, as its pod has it at its working directory."""
        return self.images / service

    def url(self, service: str) -> str:
        """The service's database from this machine, fit for psycopg."""
        return self.platform.postgres_url(self.environment, service).partition("?")[0]

    @contextmanager
    def variables(self, service: str, **values: str) -> Iterator[None]:
        """Give the service's pod these variables besides its own; afterwards a pod without them."""
        self.cluster.apply(self._deployment(service, values))
        self._until_ready()
        try:
            yield
        finally:
            self.cluster.apply(self._deployment(service, {}))
            self._until_ready()

    @contextmanager
    def file(self, service: str, path: str, text: str | None) -> Iterator[None]:
        """Let the service's image have this text in a file; None: neither file nor folder of that name."""
        place = self.image(service) / path
        kept = place.with_name(f".kept-{place.name}")
        existed = place.exists()
        if existed:
            place.rename(kept)
        if text is not None:
            place.write_text(text)
        try:
            yield
        finally:
            place.unlink(missing_ok=True)
            if existed:
                kept.rename(place)

    def _until_ready(self) -> None:
        core, apps = self.cluster.core(), self.cluster.apps()

        def rolled_out(one: Any) -> bool:  # noqa: ANN401 - the official client's
            seen = one.status.observed_generation == one.metadata.generation
            return bool(seen and one.status.replicas == one.status.updated_replicas == one.spec.replicas)

        def ready() -> bool:
            # A Deployment that was changed a moment ago has its former pods still, all of them ready.
            if not all(map(rolled_out, apps.list_namespaced_deployment(self.environment).items)):
                return False
            pods = core.list_namespaced_pod(self.environment).items
            states = [status.ready for pod in pods for status in pod.status.container_statuses or ()]
            return len(pods) == len(SERVICES) and len(states) == len(pods) and all(states)

        wait_for(ready, f"the pods of {self.environment} are ready, and no others are left", within=120)

    def _deployment(self, service: str, more: Mapping[str, str]) -> dict[str, Any]:
        urls = dict(self.platform.databases.pod_urls()[self.environment][service])
        # `populate-core-entities` copies out of the core database.
        urls.setdefault(
            "CORE_DATABASE_URL",
            self.platform.databases.pod_urls()[self.environment][_CORE]["DATABASE_URL"],
        )
        fixed = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", **_QUIET}
        container = {
            "command": ["sh", "-c", SLEEPS],
            "workingDir": f"/app/{service}",
            "env": variables({**fixed, **urls, **more}),
        }
        mounts = [
            Mount("usr", "/usr", "/usr"),
            Mount("modules", str(self.prepared / "node_modules"), "/app/node_modules"),
            Mount("shared", str(self.prepared / "shared"), "/app/shared"),
            Mount("service", str(self.image(service)), f"/app/{service}", writable=True),
        ]
        return deployment(self.environment, service, container, mounts)
