"""What is quiesced: objects of the cluster that would start a second writer beside a reset."""

from __future__ import annotations

from schemas.wire import ResetId, ResourceKey, Wire

APPLICATION = "Application"
"""The kind of ArgoCD's objects: their automated sync is what would scale a workload up again."""
CRON_JOB = "CronJob"
SCALED_OBJECT = "ScaledObject"
SCALED_JOB = "ScaledJob"
"""KEDA's kinds. The first scales a workload, the second starts Jobs."""
STARTERS = (CRON_JOB, SCALED_OBJECT, SCALED_JOB)
"""What starts pods, or scales workloads up, by itself."""


WORKLOAD_KEY = "workload/"
"""How the key of a workload begins. Who shares nothing else with a reset does not supersede it."""


class ObjectRef(Wire):
    """An object of the cluster that is quiesced: a workload, or the ArgoCD Application that would undo it."""

    environment: str
    """The environment that it belongs to. An Application lives in ArgoCD's namespace."""
    kind: str
    """`Deployment`, `StatefulSet`, `Rollout`, `CronJob`, `ScaledObject`, `ScaledJob`, `Application`."""
    name: str
    """Of an Application outside of ArgoCD's own namespace it is `NAMESPACE_NAME`, as ArgoCD calls it."""

    @property
    def key(self) -> ResourceKey:
        """What is locked while it is quiesced: `workload/{environment}/{kind}/{name}`."""
        return ResourceKey(f"{WORKLOAD_KEY}{self.environment}/{self.kind}/{self.name}")

    def __str__(self) -> str:
        return f"{self.kind} {self.environment}/{self.name}"


class ConsumerFact(Wire):
    """An object of the cluster that has to be quiesced while databases are rebuilt. Read where the plan quiesces."""

    object: ObjectRef
    uses: tuple[ResourceKey, ...]
    """All databases that its pods use, those of other plans, too, sorted; none for what has no pods of its own."""
    quiesced_by: tuple[ResetId, ...] = ()
    """The resets that have quiesced it already. For information."""
    obstacles: tuple[str, ...] = ()
    """Why it could not be kept at rest: who would undo it, and the next step."""
    missing_rights: tuple[str, ...] = ()
    """Rights that the daemon's account needs for it and has not: `patch deployments.apps in qa-sandbox`."""
