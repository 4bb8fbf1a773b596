"""One pass of the workload controllers over a namespace. A pass that finds nothing to do writes nothing."""

from __future__ import annotations

from sandbox.kubernetes.controllers import replica_sets
from sandbox.kubernetes.controllers.deployments import Rollout
from sandbox.kubernetes.objects import deletion
from sandbox.kubernetes.objects.kinds import DEPLOYMENTS, REPLICA_SETS
from sandbox.kubernetes.objects.objects import Objects


def reconcile(objects: Objects, namespace: str) -> None:
    """Bring one namespace nearer to what its objects say."""
    deletion.collect_orphans(objects, namespace)
    for deployment in list(objects.every(DEPLOYMENTS, namespace)):
        if "deletionTimestamp" not in deployment["metadata"]:
            Rollout(objects, deployment).step()
    for replica_set in list(objects.every(REPLICA_SETS, namespace)):
        replica_sets.reconcile(objects, replica_set)
