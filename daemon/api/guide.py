"""A plan as the guide's kubectl commands, for a person to read or to type."""

from __future__ import annotations

import shlex

from schemas.catalog import Catalog
from schemas.plan import Plan, PlannedStep, StepKind

_HEADER = """\
#!/bin/sh
# {mode} of {environment}, as resetd would run it ({hash}).
# Typed by hand there are no locks, no handshake, and nobody notices a second run: prefer `resetd request`.
set -eu
pod() {{ kubectl get pods -n {namespace} -l "$1" --field-selector=status.phase=Running -o name | head -n 1; }}
"""


def script(plan: Plan, catalog: Catalog) -> str:
    """Text of a POSIX shell script; every value is quoted."""
    head = _HEADER.format(
        mode=plan.mode.value,
        environment=plan.environment,
        hash=plan.hash,
        namespace=shlex.quote(plan.environment),
    )
    warnings = "".join(f"# WARNING: {' '.join(warning.split())}\n" for warning in plan.warnings)
    return head + warnings + "".join(f"\n# {step.name}\n{_lines(step, plan, catalog)}" for step in plan.steps)


def _lines(step: PlannedStep, plan: Plan, catalog: Catalog) -> str:
    match step.kind:
        case StepKind.COMMAND:
            return _command(step, plan, catalog)
        case StepKind.BACKUP_DATABASE:
            name = _resource_name(step, plan)
            return f"pg_dump --format=custom --file={shlex.quote(f'{name}.dump')} URL_OF_{_variable(name)}\n"
        case StepKind.HANDSHAKE:
            return f"# make sure that {step.service} reaches the database that was dumped\n"
        case StepKind.RESET_REPOSITORY:
            return _repository(step, plan)


def _command(step: PlannedStep, plan: Plan, catalog: Catalog) -> str:
    service = catalog.service(step.service or "")
    selector = service.selector_text if service else f"app.kubernetes.io/name={step.service}"
    argv = shlex.join(step.argv)
    line = f'kubectl exec -n {shlex.quote(plan.environment)} "$(pod {shlex.quote(selector)})" -- {argv}\n'
    if step.repeat is None:
        return line
    until = shlex.quote(step.repeat.until)
    return f"until {line.rstrip()} | tee /dev/stderr | grep -qF {until}; do :; done\n"


def _repository(step: PlannedStep, plan: Plan) -> str:
    """The key is `repository/{owner}/{name}/{branch}`."""
    key = next((one.key for one in plan.resources if one.key in step.touches), "")
    _, owner, name, branch = [*key.split("/", 3), "", "", "", ""][:4]
    where = f"repos/{owner}/{name}/git/refs"
    root = f'"$(git -C {shlex.quote(name)} rev-list --max-parents=0 {shlex.quote(f"origin/{branch}")})"'
    return (
        f"gh api {shlex.quote(where)} -f ref=refs/heads/backup/by-hand -f "
        f'sha="$(git -C {shlex.quote(name)} rev-parse {shlex.quote(f"origin/{branch}")})"\n'
        f"gh api -X PATCH {shlex.quote(f'{where}/heads/{branch}')} -f sha={root} -F force=true\n"
    )


def _resource_name(step: PlannedStep, plan: Plan) -> str:
    return next((one.name for one in plan.resources if one.key in step.touches), step.database or "database")


def _variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()
