"""One pass of the workload controllers over a namespace; a pass that finds nothing to do writes nothing."""

from __future__ import annotations

from sandbox.kubernetes import deletion, replicasets
from sandbox.kubernetes.kinds import DEPLOYMENTS, REPLICA_SETS
from sandbox.kubernetes.objects import Objects
from sandbox.kubernetes.rollouts import Rollout


def reconcile(objects: Objects, namespace: str) -> None:
    """Brings one namespace nearer to what its objects say."""
    deletion.collect_orphans(objects, namespace)
    for deployment in list(objects.every(DEPLOYMENTS, namespace)):
        if "deletionTimestamp" not in deployment["metadata"]:
            Rollout(objects, deployment).step()
    for replica_set in list(objects.every(REPLICA_SETS, namespace)):
        replicasets.reconcile(objects, replica_set)
