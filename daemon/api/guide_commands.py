"""Writes a plan as the guide's kubectl commands, for a person to read or to type."""

from __future__ import annotations

import shlex

from schemas.catalog.catalog import Catalog
from schemas.checks import PlannedCheck
from schemas.plan import Plan, PlannedStep, StepKind
from schemas.quiescing import APPLICATION, STARTERS

_HEADER = """\
#!/bin/sh
# {mode} of {environment}, as resetd would run it ({hash}).
# Typed by hand there are no locks, no handshake, and nobody notices a second run: prefer `resetd request`.
# Each database to dump needs its connection string in a variable, URL_OF_ and its name, or the script stops there.
set -eu
pod() {{ kubectl get pods -n {namespace} -l "$1" --field-selector=status.phase=Running -o name | head -n 1; }}
stop() {{ echo "stopped: $1" >&2; exit 1; }}
"""
_REPEAT = """\
# repeat TEXT COUNT COMMAND...: again until the output has the text, at most so often; a failure stops it
repeat() {
  text=$1 left=$2 && shift 2
  while [ "$left" -gt 0 ]; do
    left=$((left - 1))
    output=$("$@" 2>&1) || stop "$output"
    printf '%s\\n' "$output"
    case $output in *"$text"*) return 0 ;; esac
  done
  stop "it never said: $text"
}
"""
_WITHOUT = """\
# without PATTERN COMMAND...: a line of the output that matches is a failure as well
without() {
  pattern=$1 && shift
  output=$("$@" 2>&1) || stop "$output"
  printf '%s\\n' "$output"
  printf '%s\\n' "$output" | grep -qE -e "$pattern" && found=0 || found=$?
  [ "$found" -eq 1 ] || stop "a line of it is like $pattern"
}
"""


def script(plan: Plan, catalog: Catalog) -> str:
    """Write the plan as a POSIX shell script. Every value in it is quoted."""
    head = _HEADER.format(
        mode=plan.mode.value,
        environment=plan.environment,
        hash=plan.hash,
        namespace=shlex.quote(plan.environment),
    )
    warnings = "".join(f"# WARNING: {' '.join(warning.split())}\n" for warning in plan.warnings)
    if any(step.repeat for step in plan.steps):
        head += _REPEAT
    if any(step.fail_on for step in plan.steps):
        head += _WITHOUT
    return head + warnings + "".join(f"\n# {step.name}\n{_lines(step, plan, catalog)}" for step in plan.steps)


def _lines(step: PlannedStep, plan: Plan, catalog: Catalog) -> str:
    match step.kind:
        case StepKind.COMMAND:
            return _command(step, plan, catalog)
        case StepKind.BACKUP_DATABASE:
            name = _resource_name(step, plan)
            dump = shlex.quote(f"{name}.dump")
            return f'pg_dump --format=custom --file={dump} "$URL_OF_{_variable(name)}"\n'
        case StepKind.PROVE_BACKUP:
            dump = shlex.quote(f"{_resource_name(step, plan)}.dump")
            return f'# restore it on a scratch server, and compare: pg_restore --dbname="$URL_OF_SCRATCH" {dump}\n'
        case StepKind.HANDSHAKE:
            return f"# make sure that {step.service} reaches the database that was dumped\n"
        case StepKind.RESET_REPOSITORY:
            return _repository(step, plan)
        case StepKind.QUIESCE | StepKind.RELEASE:
            return _quiescing(step)
        case StepKind.CLEAR_SESSIONS:
            return f"# make sure that nobody else is connected to {_resource_name(step, plan)}\n"
        case StepKind.AWAIT_HEALTH:
            return f"kubectl get pods -n {shlex.quote(step.environment or '')}\n"
        case StepKind.CHECK_DATABASE:
            return "".join(f"# look yourself: {_checked(check)}\n" for check in step.checks)


def _quiescing(step: PlannedStep) -> str:
    """Say what resetd does. By hand the commands need the services' own pods, so those stay."""
    does = "scales to 0" if step.kind is StepKind.QUIESCE else "gives back what it was"
    what = f"{step.object}"
    if step.object is not None and step.object.kind == APPLICATION:
        does = "holds the automated sync of" if step.kind is StepKind.QUIESCE else "sets free the sync of"
        return f"# resetd {does} {what}; by hand: look that ArgoCD starts no pod meanwhile\n"
    if step.object is not None and step.object.kind in STARTERS:
        does = "keeps" if step.kind is StepKind.QUIESCE else "keeps no longer"
        return (
            f"# resetd {does} {what} from starting anything; by hand: look that it starts no pod meanwhile\n"
        )
    return f"# resetd {does} {what}; by hand its pods are needed: look that none of them restarts meanwhile\n"


def _checked(check: PlannedCheck) -> str:
    """What a person has to see in the database, on one line."""
    if check.migrations is not None:
        return f"{check.database} has every migration of the image"
    least = check.rows.at_least if check.rows else 0
    return " ".join(f"{check.name} (at least {least})".split())


def _command(step: PlannedStep, plan: Plan, catalog: Catalog) -> str:
    service = catalog.service(step.service or "")
    selector = service.selector_text if service else f"app.kubernetes.io/name={step.service}"
    start = f'kubectl exec -n {shlex.quote(plan.environment)} "$(pod {shlex.quote(selector)})" -- '
    line = f"{start}{shlex.join(step.argv)}\n"
    if step.fail_on is not None:
        line = f"without {shlex.quote(step.fail_on)} {line}"
    if step.repeat is None:
        return line
    # One repetition for each applied migration, and one more that says that nothing is left.
    count = """$(($(printf '%s\\n' "$applied" | grep -cF '[X]' || :) + 1))"""
    bound = f"applied=$({start}{shlex.join(step.repeat.bound)})\n"
    return f'{bound}repeat {shlex.quote(step.repeat.until)} "{count}" {line}'


def _repository(step: PlannedStep, plan: Plan) -> str:
    """Write the commands for the repository; its key is `repository/{owner}/{name}/{branch}`."""
    key = next((resource.key for resource in plan.resources if resource.key in step.touches), "")
    _, owner, name, branch = [*key.split("/", 3), "", "", "", ""][:4]
    where = f"repos/{owner}/{name}/git/refs"
    found = f'"$(git -C {shlex.quote(name)} rev-list --max-parents=0 {shlex.quote(f"origin/{branch}")})"'
    root = shlex.quote(step.repository_root) if step.repository_root else found
    return (
        f"gh api {shlex.quote(where)} -f ref=refs/heads/backup/by-hand -f "
        f'sha="$(git -C {shlex.quote(name)} rev-parse {shlex.quote(f"origin/{branch}")})"\n'
        f"gh api -X PATCH {shlex.quote(f'{where}/heads/{branch}')} -f sha={root} -F force=true\n"
    )


def _resource_name(step: PlannedStep, plan: Plan) -> str:
    names = (resource.name for resource in plan.resources if resource.key in step.touches)
    return next(names, step.database or "database")


def _variable(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name).upper()
