"""What quiescing means for each kind of object: what is remembered, what is changed, and what undoes the change.

Changes are merge patches (RFC 7386), in which null removes a field.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from daemon.adapters.kubernetes.documents import APPLICATION_KIND, ROLLOUT_KIND, Document, ObjectKind
from daemon.adapters.kubernetes.workloads.documents import asked_for
from schemas.quiescing import CRON_JOB, SCALED_JOB, SCALED_OBJECT

Json = Mapping[str, Any]
PAUSED = "autoscaling.keda.sh/paused"
PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"


class QuiescedKind(ObjectKind, ABC):
    """One kind of object that is quiesced."""

    def template(self, document: Document) -> Json | None:
        """Return the template of the pods that the object starts; None where it starts none itself."""
        template: Json | None = (document.get("spec") or {}).get("template")
        return template

    @abstractmethod
    def original(self, document: Document) -> Json:
        """Return what has to be remembered to undo the change."""

    @abstractmethod
    def said(self, original: Json) -> str:
        """Say what the object was before, for people."""

    @abstractmethod
    def to_rest(self, document: Document) -> Json:
        """Return the patch that keeps the object from starting anything; empty where it starts nothing."""

    def to_rest_otherwise(self) -> Json:
        """Return the patch for where the first one did not keep it at rest; empty where there is no other way."""
        return {}

    @abstractmethod
    def to_undo(self, original: Json) -> Json:
        """Return the patch that gives the object back what it was."""

    @abstractmethod
    def rests(self, document: Document) -> bool:
        """Tell whether the object starts nothing."""

    @abstractmethod
    def started_nothing(self, original: Json) -> bool:
        """Tell whether the object started nothing before it was quiesced."""


class Replicas(QuiescedKind):
    """A workload with replicas. An autoscaler (HPA) leaves one alone that asks for none.

    Source: Kubernetes reference, Horizontal Pod Autoscaling, "Implicit maintenance-mode deactivation".
    """

    def original(self, document: Document) -> Json:
        """See the base. A workload that says nothing asks for one."""
        return {"replicas": replicas_of(document)}

    def said(self, original: Json) -> str:
        """See the base."""
        count = original.get("replicas", 1)
        return f"{count} replica{'' if count == 1 else 's'}"

    def to_rest(self, document: Document) -> Json:
        """See the base."""
        return {} if self.rests(document) else {"spec": {"replicas": 0}}

    def to_undo(self, original: Json) -> Json:
        """See the base."""
        return {"spec": {"replicas": original.get("replicas", 1)}}

    def rests(self, document: Document) -> bool:
        """See the base."""
        return replicas_of(document) == 0

    def started_nothing(self, original: Json) -> bool:
        """See the base."""
        return bool(original.get("replicas", 1) == 0)


class AutomatedSync(QuiescedKind):
    """An Application, whose automated sync is switched off as a whole: self-heal alone would leave the sync of a push.

    Where the CRD keeps `automated.enabled` that says it, and the rest of `automated` stays for who reads it. Older CRDs
    drop the field; `automated` is removed there.

    Source: argoproj/argo-cd, `SyncPolicyAutomated`.
    """

    def original(self, document: Document) -> Json:
        """See the base."""
        return {"automated": _automated(document)}

    def said(self, original: Json) -> str:
        """See the base."""
        return "automated sync" if _is_on(original.get("automated")) else "no automated sync"

    def to_rest(self, document: Document) -> Json:
        """See the base."""
        return {} if self.rests(document) else {"spec": {"syncPolicy": {"automated": {"enabled": False}}}}

    def to_rest_otherwise(self) -> Json:
        """See the base: a CRD may drop `enabled`."""
        return {"spec": {"syncPolicy": {"automated": None}}}

    def to_undo(self, original: Json) -> Json:
        """See the base."""
        automated = original.get("automated")
        if automated is None:
            return {}
        return {"spec": {"syncPolicy": {"automated": {"enabled": None, **automated}}}}

    def rests(self, document: Document) -> bool:
        """See the base."""
        return not _is_on(_automated(document))

    def started_nothing(self, original: Json) -> bool:
        """See the base."""
        return not _is_on(original.get("automated"))


class Suspension(QuiescedKind):
    """A CronJob, which starts no Job while it is suspended. What it has started goes on.

    Source: Kubernetes reference, CronJob, "Schedule suspension".
    """

    def template(self, document: Document) -> Json | None:
        """See the base."""
        template: Json | None = (
            ((document.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
        ).get("template")
        return template

    def original(self, document: Document) -> Json:
        """See the base. Where it does not say so it is not suspended."""
        return {"suspend": (document.get("spec") or {}).get("suspend")}

    def said(self, original: Json) -> str:
        """See the base."""
        return "suspended" if self.started_nothing(original) else "not suspended"

    def to_rest(self, document: Document) -> Json:
        """See the base."""
        return {} if self.rests(document) else {"spec": {"suspend": True}}

    def to_undo(self, original: Json) -> Json:
        """See the base."""
        return {"spec": {"suspend": original.get("suspend")}}

    def rests(self, document: Document) -> bool:
        """See the base."""
        return self.started_nothing(self.original(document))

    def started_nothing(self, original: Json) -> bool:
        """See the base."""
        return original.get("suspend") is True


class KedaPause(QuiescedKind):
    """A ScaledObject or ScaledJob, which KEDA leaves alone while its annotation says `paused`.

    `paused-replicas` would let KEDA scale the workload to that number, so it goes meanwhile.

    Source: KEDA, Scaling Deployments, "Pausing autoscaling".
    """

    def template(self, document: Document) -> Json | None:
        """See the base."""
        template: Json | None = ((document.get("spec") or {}).get("jobTargetRef") or {}).get("template")
        return template

    def original(self, document: Document) -> Json:
        """See the base."""
        annotations = (document.get("metadata") or {}).get("annotations") or {}
        return {name: annotations.get(name) for name in (PAUSED, PAUSED_REPLICAS)}

    def said(self, original: Json) -> str:
        """See the base."""
        return "paused" if self.started_nothing(original) else "not paused"

    def to_rest(self, document: Document) -> Json:
        """See the base."""
        if self.rests(document):
            return {}
        return {"metadata": {"annotations": {PAUSED: "true", PAUSED_REPLICAS: None}}}

    def to_undo(self, original: Json) -> Json:
        """See the base."""
        return {"metadata": {"annotations": {name: original.get(name) for name in (PAUSED, PAUSED_REPLICAS)}}}

    def rests(self, document: Document) -> bool:
        """See the base."""
        return self.started_nothing(self.original(document))

    def started_nothing(self, original: Json) -> bool:
        """See the base."""
        return original.get(PAUSED) == "true" and original.get(PAUSED_REPLICAS) is None


def replicas_of(document: Document) -> int:
    """Return the pods that a workload asks for."""
    return asked_for((document.get("spec") or {}).get("replicas"))


def _automated(document: Document) -> Json | None:
    automated: Json | None = ((document.get("spec") or {}).get("syncPolicy") or {}).get("automated")
    return automated


def _is_on(automated: Json | None) -> bool:
    return automated is not None and automated.get("enabled") is not False


APPLICATIONS = AutomatedSync(*APPLICATION_KIND)
WORKLOADS = (
    Replicas("Deployment", "apps", "v1", "deployments"),
    Replicas("StatefulSet", "apps", "v1", "statefulsets"),
    Replicas(*ROLLOUT_KIND),
)
CRON_JOBS = Suspension(CRON_JOB, "batch", "v1", "cronjobs")
SCALED_OBJECTS = KedaPause(SCALED_OBJECT, "keda.sh", "v1alpha1", "scaledobjects")
SCALED_JOBS = KedaPause(SCALED_JOB, "keda.sh", "v1alpha1", "scaledjobs")
STARTING = (CRON_JOBS, SCALED_OBJECTS, SCALED_JOBS)
KINDS: Mapping[str, QuiescedKind] = {each.kind: each for each in (*WORKLOADS, *STARTING, APPLICATIONS)}


def with_metadata(change: Json, metadata: Json) -> dict[str, Any]:
    """Return the patch that makes a change and writes annotations and labels."""
    own = change.get("metadata") or {}
    annotations = {**(own.get("annotations") or {}), **(metadata.get("annotations") or {})}
    return {**change, "metadata": {**own, **metadata, "annotations": annotations}}
