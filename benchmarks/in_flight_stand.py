"""What `benchmarks.in_flight` runs against: a thousand tiny services in twenty pods of the Kubernetes double.

Several services share a pod (`selector`), and their one command writes to no database: what is measured is how running
commands are found again, not how they came to run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox import postgres
from sandbox.fleet import Environment
from sandbox.kubernetes import launch
from sandbox.platform import child_processes

SERVICES_EACH = 100
"""Services of each environment; as many resets run there, which is what its queue takes at once."""
PODS_EACH = 2
ENVIRONMENTS = tuple(f"flight{number}-sandbox" for number in range(10))
LAUNCHES = "/tmp/launches"  # noqa: S108 - in the container
_SERVES = '#!/bin/sh\ntouch "$SANDBOX_READY_FILE"\nexec sleep 1000000\n'
RUNS = f'echo "$RESETD_ATTEMPT" >>{LAUNCHES}; exec sleep 1000000'


@dataclass(frozen=True)
class Flight:
    """What the daemon needs."""

    environment: dict[str, str]
    kubeconfig: str


def service(number: int) -> str:
    """Its name in the catalog."""
    return f"service-{number}"


@contextmanager
def started(directory: Path) -> Iterator[Flight]:
    """Kafka, PostgreSQL and the double, until the block ends."""
    with ExitStack() as stack:
        kafka = child_processes.start("sandbox.kafka", [], log=directory / "kafka.log")
        stack.callback(kafka.stop)
        databases = postgres.start_fleet(
            directory / "postgres",
            [Environment("flight-sandbox", {("app", "DATABASE_URL"): "flight/flight"})],
        )
        stack.callback(databases.stop)
        running = launch.start(_lay_out(directory, databases.pod_url("flight/flight")))
        stack.callback(running.stop)
        yield Flight(
            {
                "RESETD_KAFKA_BOOTSTRAP_SERVERS": str(kafka.ready["bootstrap"]),
                "RESETD_KUBECONFIG": running.kubeconfig,
                "RESETD_ARGOCD_NAMESPACE": "",
                "RESETD_GITHUB_OWNER": "nobody",
                "RESETD_DATABASE_HOSTS": f"{postgres.POD_HOST}={postgres.ADDRESS}",
                "RESETD_PG_BIN": str(postgres.binaries()),
                "RESETD_CATALOG": str(_catalog(directory)),
            },
            running.kubeconfig,
        )


def _lay_out(directory: Path, url: str) -> launch.Arguments:
    images = directory / "images"
    names = [f"app-{number}" for number in range(PODS_EACH)]
    for name in names:
        program = images / name / "bin" / "npm"
        program.parent.mkdir(parents=True)
        program.write_text(_SERVES)
        program.chmod(0o755)
        (images / name / "package.json").write_text(json.dumps({"scripts": {"prod": "serve"}}))
    variables = {environment: {name: {"DATABASE_URL": url} for name in names} for environment in ENVIRONMENTS}
    (directory / "variables.json").write_text(json.dumps(variables))
    return launch.Arguments(
        directory / "cluster", images, directory / "variables.json", environments=ENVIRONMENTS
    )


def _catalog(directory: Path) -> Path:
    step = {
        "name": "run",
        "phase": "seed",
        "argv": ["sh", "-c", RUNS],
        "databases": [],
        "idempotent": "safe",
    }
    services = [
        {
            "name": service(number),
            "selector": f"app.kubernetes.io/name=app-{number % PODS_EACH}",
            "databases": [{"name": "flight", "handshake": {"argv": ["cat"]}}],
            "steps": {"wipe": [], "refresh": [], "seed": [{**step, "timeout": 3600}]},
        }
        for number in range(SERVICES_EACH)
    ]
    catalog = {
        "name": "flight",
        "kinds": {"sandbox": {}},
        "order": [one["name"] for one in services],
        "services": services,
        "queue": {"waiting": SERVICES_EACH},
    }
    file = directory / "catalog.yaml"
    file.write_text(yaml.safe_dump(catalog))
    return file
