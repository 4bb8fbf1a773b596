"""What a person should look at and type next, by the cause of a stop, as the guide's troubleshooting says.

These hints are the general ones: a failure that brings a hint of its own keeps that.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.reasons import TEXTS, Reason

_PODS = (
    "Look at `kubectl get pods -n {environment}`, `kubectl get deployments -n {environment}` and "
    "`argocd app get {environment}`; once the service has a ready pod, `resetd resume ID`."
)
_CLUSTER = "The daemon's way to the cluster is in its settings (RESETD_KUBECONFIG); then `resetd resume ID`."
_HINTS: Mapping[Reason, str] = {
    Reason.POD_NOT_FOUND: _PODS,
    Reason.POD_NOT_READY: _PODS,
    Reason.SERVICE_MISSING: _PODS,
    Reason.DATABASE_UNREACHABLE: (
        "Check the database connection as the pod has it: `resetd doctor {environment}` runs SELECT 1 through "
        "the service's own tool; then `resetd resume ID`."
    ),
    Reason.COMMAND_INTERRUPTED: (
        "Its process was killed or its container restarted. `resetd logs ID STEP` shows how far it came, "
        "`kubectl get pods -n {environment}` the restarts; `resetd resume ID` runs the step again."
    ),
    Reason.OUT_OF_MEMORY: "Raise the container's memory limit, then `resetd resume ID`.",
    Reason.KUBERNETES_UNREACHABLE: _CLUSTER,
    Reason.KUBERNETES_FORBIDDEN: _CLUSTER,
    Reason.DATABASE_MISMATCH: (
        "The detail says what differs. Compare the URL variables of the services and where each address leads; of a "
        "database with a marker, the table `identity` in its schema `resetd`. Then `resetd resume ID --replan`."
    ),
    Reason.BACKUP_FAILED: "Nothing of this database was destroyed. Mend what pg_dump says, then `resetd resume ID`.",
}


def hint_for(cause: Reason, environment: str) -> str:
    """Return the hint for a reset of that environment that stopped for this cause."""
    known = _HINTS.get(cause, f"{TEXTS[cause]} `resetd doctor {{environment}}` says more.")
    return known.format(environment=environment)
