"""The reader of facts, with the real adapter, on the Kubernetes double: one sandbox, and whatever a test adds.

The sandbox `acme-sandbox` runs `app`, whose database is the one that every pod here reaches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from daemon.adapters.kubernetes.client import KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.adapters.kubernetes.quiescing.quiescing import KubernetesQuiescing
from daemon.config.catalog_file import LoadedCatalog, parse_catalog
from daemon.engine.facts.reader import FactsReader
from daemon.engine.planning import Planning
from sandbox.kubernetes.launch import Arguments
from sandbox.kubernetes.objects.kinds import ROLLOUT_DEFINITION
from schemas.audit import AuditEntry, Verdict
from schemas.plan import Plan
from schemas.protection import ProtectedUse, Scope, Word, WordKind
from schemas.requests import Mode, ResetRequested
from schemas.resets import Channel
from schemas.wire import ResourceKey, ServiceName
from statemachines.refusals import Refusal
from tests.contract.kubernetes_double.stand import SERVES, Api, is_ready, make_image
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.repositories import MemoryRepositories
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock

SANDBOX = "acme-sandbox"
PRODUCTION = "acme-production"
URL = "postgresql://u:p@db/app"
OTHER_URL = "postgresql://u:p@elsewhere/app"
LABEL = "app.kubernetes.io/name"
RBAC = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes" / "rbac.yaml"


def lay_out(directory: Path) -> Arguments:
    """The arguments of a double with the one sandbox."""
    make_image(directory / "images", "app", SERVES)
    (directory / "variables.json").write_text(f'{{"{SANDBOX}": {{"app": {{"DATABASE_URL": "{URL}"}}}}}}')
    return Arguments(
        directory / "cluster", directory / "images", directory / "variables.json", environments=(SANDBOX,)
    )


def catalog(*absent: str, **kinds: Mapping[str, Any]) -> LoadedCatalog:
    """A catalog with the service `app`, and the kinds sandbox and production."""
    step = {"name": "empty", "argv": ["empty"], "idempotent": "never", "phase": "seed"}
    protected = {"protected": True, "approvers": 1, "approversUnattended": 2}
    document = {
        "name": "sharing",
        "proof": "read",
        "kinds": {"sandbox": {}, "production": protected, **kinds},
        "order": ["app"],
        "services": [
            {
                "name": "app",
                "absent": list(absent),
                "databases": [{"name": "app", "handshake": {"argv": ["psql"]}}],
                "steps": {mode.value: [step] for mode in Mode},
            }
        ],
    }
    return parse_catalog(yaml.safe_dump(document), "sharing.yaml")


@dataclass(frozen=True)
class Cluster:
    """The double as its admin sees it. `remove` takes away what a test has added."""

    api: Api
    made: list[str] = field(default_factory=list)

    async def namespace(self, name: str) -> None:
        """Make a namespace."""
        await self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        self.made.append(f"/api/v1/namespaces/{name}")

    async def rollouts_are_served(self) -> None:
        """Install Argo Rollouts, as far as its definition."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await self.create(path, {"metadata": {"name": ROLLOUT_DEFINITION}})
        self.made.append(f"{path}/{ROLLOUT_DEFINITION}")

    async def workload(
        self,
        namespace: str,
        kind: str = "deployments",
        name: str = "app",
        replicas: int | None = 0,
        label: str | None = None,
        image: str = "app",
        url: str = URL,
        workload_ref: Mapping[str, str] | None = None,
    ) -> None:
        """Make a workload whose pods have the service's label, or another one; `replicas` None leaves them out."""
        group = "argoproj.io/v1alpha1" if kind == "rollouts" else "apps/v1"
        labels = {LABEL: label or name}
        container = {
            "name": "app",
            "image": f"fuse/{image}:1.0.0",
            "command": ["npm", "run", "prod"],
            "env": [{"name": "DATABASE_URL", "value": url}] if url else [],
        }
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {
            "selector": {"matchLabels": labels},
            **({"workloadRef": dict(workload_ref)} if workload_ref else {"template": template}),
            **({} if replicas is None else {"replicas": replicas}),
        }
        body = {"metadata": {"name": name}, "spec": spec}
        await self.create(f"/apis/{group}/namespaces/{namespace}/{kind}", body)

    async def job_pod(self, namespace: str, name: str, label: str, image: str) -> None:
        """Make a pod as a Job does."""
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": "job-1", "controller": True}
        body = {
            "metadata": {"name": name, "labels": {LABEL: label}, "ownerReferences": [owner]},
            "spec": {"containers": [{"name": "app", "image": f"fuse/{image}:1.0.0"}]},
        }
        await self.create(f"/api/v1/namespaces/{namespace}/pods", body)

    async def set_url(self, namespace: str, kind: str, name: str, url: str) -> None:
        """Give the template of a workload another database."""
        path = f"/apis/apps/v1/namespaces/{namespace}/{kind}/{name}"
        spec = (await self.api.call("GET", path)).body["spec"]["template"]["spec"]
        spec["containers"][0]["env"] = [{"name": "DATABASE_URL", "value": url}]
        body = {"spec": {"template": {"spec": {"containers": spec["containers"]}}}}
        answer = await self.api.call("PATCH", path, body, "application/merge-patch+json")
        assert answer.code == 200, answer.body

    async def pods_ready(self, namespace: str, url: str | None = None) -> None:
        """Wait until there is one pod of the service, it is ready, and it has that database where one is named."""

        def fulfilled(found: Any) -> bool:  # noqa: ANN401 - a JSON document
            pods = found["items"]
            return (
                len(pods) == 1
                and is_ready(pods[0])
                and (url is None or pods[0]["spec"]["containers"][0]["env"][0]["value"] == url)
            )

        await self.api.until(f"/api/v1/namespaces/{namespace}/pods", fulfilled, labelSelector=f"{LABEL}=app")

    async def create(self, path: str, body: Mapping[str, Any]) -> None:
        """POST an object."""
        answer = await self.api.call("POST", path, dict(body))
        assert answer.code == 201, answer.body

    async def remove(self) -> None:
        """Delete what was made, and wait until it is gone."""
        for path in reversed(self.made):
            await self.api.call("DELETE", path)
        for path in self.made:
            await self.api.until(path, lambda body: body.get("code") == 404)

    async def grant(self, *environments: str, without: tuple[str, str] | None = None) -> None:
        """Apply the shipped rights once for each environment; `without` one (verb, resource)."""
        for environment in environments:
            for document in rights(environment, without):
                meta = document["metadata"]
                plural = f"{document['kind'].lower()}s"
                version = document["apiVersion"]
                group = f"/apis/{version}" if "/" in version else f"/api/{version}"
                within = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
                path = f"{group}{within}/{plural}"
                answer = await self.api.call("POST", path, document)
                assert answer.code in {201, 409}, answer.body
                if answer.code == 201:
                    self.made.append(f"{path}/{meta['name']}")


def rights(environment: str, without: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    """The documents of the shipped manifest for one environment."""
    documents = list(yaml.safe_load_all(RBAC.read_text().replace("qa-sandbox", environment)))
    for document in documents:
        for rule in document.get("rules", ()):
            for resource in rule["resources"]:
                rule["verbs"] = [verb for verb in rule["verbs"] if (verb, resource) != without]
    return documents


def use_of(environment: str) -> ProtectedUse:
    """A use of a database that is not the sandbox's."""
    return ProtectedUse(
        environment=environment,
        service=ServiceName("app"),
        database="app",
        key=ResourceKey("database/7002/app"),
    )


@asynccontextmanager
async def reader(
    kubeconfig: Path, loaded: LoadedCatalog, words: Sequence[str] = (), remembered: Sequence[str] = ()
) -> AsyncIterator[FactsReader]:
    """The reader of a daemon with that account.

    In its store a person says that the scopes of `words` use nothing, and another database of `remembered`
    environments is remembered.
    """
    databases = MemoryDatabases()
    databases.add(URL, MemoryDatabase("7001", "app"))
    databases.add(OTHER_URL, MemoryDatabase("7002", "app"))
    clock = LoopClock()
    store = MemoryStore(clock)
    for number, scope in enumerate(words):
        await store.give_word(*_word(number, scope, clock.now()))
    await store.remember_protected([use_of(environment) for environment in remembered], now=clock.now())
    async with open_kubernetes(KubernetesSettings(kubeconfig=str(kubeconfig))) as kubernetes:
        yield FactsReader(
            KubernetesPods(kubernetes),
            databases,
            MemoryRepositories(),
            store,
            clock,
            loaded.catalog,
            KubernetesQuiescing(kubernetes, "argocd"),
        )


@asynccontextmanager
async def reading(
    kubeconfig: Path,
    loaded: LoadedCatalog | None = None,
    words: Sequence[str] = (),
    remembered: Sequence[str] = (),
) -> AsyncIterator[Planning]:
    """The planning of a daemon with that account; the arguments are those of `reader`."""
    loaded = loaded or catalog()
    async with reader(kubeconfig, loaded, words, remembered) as facts:
        yield Planning(facts, loaded.catalog, loaded.id)


def _word(number: int, scope: str, now: datetime) -> tuple[Word, AuditEntry]:
    word = Word(
        id=f"word-{number}",
        kind=WordKind.CONFIRM,
        scope=Scope.of_text(scope),
        uses=(),
        reason="off for good",
        given_by="bob",
        given_at=now,
        expires_at=now + timedelta(days=30),
    )
    entry = AuditEntry(
        chain=word.scope.environment,
        at=now,
        action="confirm",
        verdict=Verdict.APPLIED,
        actor="bob",
        channel="http",
        environment=word.scope.environment,
    )
    return word, entry


async def planned(
    kubeconfig: Path,
    loaded: LoadedCatalog | None = None,
    words: Sequence[str] = (),
    remembered: Sequence[str] = (),
) -> Plan | Refusal:
    """Plan a wipe of the sandbox."""
    async with reading(kubeconfig, loaded, words, remembered) as planning:
        request = ResetRequested(environment=SANDBOX, requested_by="ann", mode=Mode.WIPE, git=False)
        return await planning.plan(request, Channel.HTTP)
