"""What the kubelet reads from a pod's spec: its command, its variables, its volumes."""

from __future__ import annotations

import base64
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.kubernetes.node.containers import Container
from sandbox.kubernetes.objects.kinds import CONFIG_MAPS, SECRETS, Kind
from sandbox.kubernetes.objects.objects import Object, Objects

NAME_LABEL = "app.kubernetes.io/name"


class ConfigError(Exception):
    """A container refers to something that is missing; it waits with CreateContainerConfigError."""


@dataclass(frozen=True)
class StandInPaths:
    """What the services' stand-ins are given: the journal's socket, and the directory that says how they behave."""

    journal: Path | None
    controls: Path | None


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as Kubernetes does: unknown names stay, `$$` is a dollar."""
    return re.sub(
        r"\$\$|\$\(([A-Za-z_.-][\w.-]*)\)",
        lambda m: "$" if m[0] == "$$" else variables.get(m[1], m[0]),
        text,
    )


def service(pod: Object, image: str) -> str:
    """The service of a container: the pod's label names it, or the image does (a holder has no such label)."""
    label = (pod["metadata"].get("labels") or {}).get(NAME_LABEL)
    return label or image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def variables(objects: Objects, pod: Object, container: Object) -> dict[str, str]:
    """The variables from the pod's spec; ConfigError when a Secret or ConfigMap is missing."""
    result: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        for key, kind in (("secretRef", SECRETS), ("configMapRef", CONFIG_MAPS)):
            if reference := source.get(key):
                data = _data(objects, kind, pod, reference)
                result |= {source.get("prefix", "") + name: value for name, value in data.items()}
    for variable in container.get("env") or []:
        if "valueFrom" in variable:
            value = _value_from(objects, pod, variable["valueFrom"])
            if value is not None:
                result[variable["name"]] = value
        else:
            result[variable["name"]] = expand(variable.get("value") or "", result)
    return result


def _data(objects: Objects, kind: Kind, pod: Object, reference: Object) -> dict[str, str]:
    found = objects.find(kind, pod["metadata"]["namespace"], reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{kind.singular} "{reference["name"]}" not found')
    data: dict[str, str] = found.get("data") or {}
    if kind is SECRETS:
        return {name: base64.b64decode(value).decode() for name, value in data.items()}
    return data


def _value_from(objects: Objects, pod: Object, source: Object) -> str | None:
    if path := (source.get("fieldRef") or {}).get("fieldPath"):
        return _field(pod, path)
    for key, kind in (("secretKeyRef", SECRETS), ("configMapKeyRef", CONFIG_MAPS)):
        if reference := source.get(key):
            value = _data(objects, kind, pod, reference).get(reference["key"])
            if value is None and not reference.get("optional"):
                namespace = pod["metadata"]["namespace"]
                raise ConfigError(
                    f"couldn't find key {reference['key']} in {kind.kind} {namespace}/{reference['name']}"
                )
            return value
    return None


def _field(pod: Object, path: str) -> str:
    if found := re.match(r"metadata\.(labels|annotations)\['(.+)'\]$", path):
        return str((pod["metadata"].get(found[1]) or {}).get(found[2], ""))
    value: Any = pod
    for step in path.split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    return str(value)


def environment(
    objects: Objects,
    pod: Object,
    container: Object,
    made: Container,
    stand_ins: StandInPaths,
) -> dict[str, str]:
    """All variables of the container `made` from the spec `container`: the spec's own and the sandbox's."""
    meta = pod["metadata"]
    added = {
        "PATH": f"{made.app / 'bin'}:/usr/bin:/bin",
        "HOME": str(made.app),
        "HOSTNAME": meta["name"],
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "PGHOSTADDR": "127.0.0.1",  # the sandbox's name service for libpq: whichever host, it is on this machine
        "SANDBOX_NAMESPACE": meta["namespace"],
        "SANDBOX_POD": meta["name"],
        "SANDBOX_SERVICE": service(pod, container["image"]),
        "SANDBOX_CONTAINER": container["name"],
        "SANDBOX_CONTAINER_ID": made.id,
        "SANDBOX_READY_FILE": str(made.ready_file),
    }
    if stand_ins.journal:
        added["SANDBOX_JOURNAL"] = str(stand_ins.journal)
    if stand_ins.controls:
        added["SANDBOX_CONTROLS"] = str(stand_ins.controls)
    return added | variables(objects, pod, container)


def binds(objects: Objects, pod: Object, container: Object, pod_directory: Path) -> list[tuple[Path, str]]:
    """Directories of the pod, each with the path at which the container sees it. They outlive the container's restarts.

    Served are emptyDir, configMap and secret; other volume types (a projected token, ...) are accepted and left out.
    A mount path must exist on this machine or lie under /tmp or /dev/shm.
    """
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
    result = []
    for mounted in container.get("volumeMounts") or []:
        volume = volumes.get(mounted["name"]) or {}
        directory = pod_directory / "volumes" / mounted["name"]
        files: dict[str, str] = {}
        if reference := volume.get("configMap"):
            files = _data(objects, CONFIG_MAPS, pod, reference)
        elif reference := volume.get("secret"):
            files = _data(objects, SECRETS, pod, {"name": reference["secretName"]} | reference)
        elif "emptyDir" not in volume:
            continue
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o1777)
        for name, text in files.items():
            (directory / name).write_text(text)
        result.append((directory, mounted["mountPath"]))
    return result


def program(argv0: str, app: Path, path: str, root: Path) -> str | None:
    """Why a program can't be started in the container whose files are seen at `root`, in runc's words; None: it can."""
    if "/" not in argv0:
        places = [str(root) + entry for entry in path.split(":") if entry.startswith("/")]
        if shutil.which(argv0, path=":".join(places)):
            return None
        return f'exec: "{argv0}": executable file not found in $PATH'
    inside = root / str(app / argv0).lstrip("/")
    if not inside.exists():
        return f'exec: "{argv0}": stat {argv0}: no such file or directory'
    if inside.is_dir() or not os.access(inside, os.X_OK):
        return f'exec: "{argv0}": permission denied'
    return None
