"""One pass of the workload controllers over a namespace. A pass that finds nothing to do writes nothing."""

from __future__ import annotations

from sandbox.kubernetes.controllers import argo_rollouts, jobs, replica_sets, stateful_sets
from sandbox.kubernetes.controllers.deployments import Rollout
from sandbox.kubernetes.objects import deletion
from sandbox.kubernetes.objects.kinds import DEPLOYMENTS, JOBS, REPLICA_SETS, ROLLOUTS, STATEFUL_SETS
from sandbox.kubernetes.objects.objects import Objects


def reconcile(objects: Objects, namespace: str) -> None:
    """Bring one namespace nearer to what its objects say."""
    deletion.collect_orphans(objects, namespace)
    for deployment in list(objects.every(DEPLOYMENTS, namespace)):
        if "deletionTimestamp" not in deployment["metadata"]:
            Rollout(objects, deployment).step()
    for kind, reconcile_one in (
        (ROLLOUTS, argo_rollouts.reconcile),
        (STATEFUL_SETS, stateful_sets.reconcile),
    ):
        for each in list(objects.every(kind, namespace)):
            if "deletionTimestamp" not in each["metadata"]:
                reconcile_one(objects, each)
    for job in list(objects.every(JOBS, namespace)):
        if "deletionTimestamp" not in job["metadata"]:
            jobs.reconcile(objects, job)
    for replica_set in list(objects.every(REPLICA_SETS, namespace)):
        replica_sets.reconcile(objects, replica_set)
