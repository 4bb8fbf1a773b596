"""Kubeconfigs of a double that show who asks, or lead to it, in another way than the double's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.kubernetes.launch import Running


def token_file(running: Running) -> Path:
    """Return the file that always holds the present token of the daemon's account."""
    return Path(running.kubeconfig).with_name("resetd.token")


def kubeconfig(
    running: Running,
    path: Path,
    *,
    user: Mapping[str, Any] | None = None,
    cluster: Mapping[str, Any] | None = None,
) -> str:
    """Write a kubeconfig of the daemon's account with another user, and with more about the cluster, or less (None)."""
    held = yaml.safe_load(Path(running.kubeconfig).with_name("resetd.kubeconfig").read_text())
    if user is not None:
        held["users"][0]["user"] = dict(user)
    there = held["clusters"][0]["cluster"] | dict(cluster or {})
    held["clusters"][0]["cluster"] = {key: value for key, value in there.items() if value is not None}
    path.write_text(yaml.safe_dump(held))
    return str(path)


def exec_plugin(directory: Path, token: Path, expires: str | None = None) -> dict[str, Any]:
    """Return the user of a kubeconfig whose credentials a program gives, which notes each time in `calls`."""
    api = "client.authentication.k8s.io/v1"
    status = {"expirationTimestamp": expires} if expires else {}
    answer = json.dumps({"apiVersion": api, "kind": "ExecCredential", "status": status})
    program = (
        f"import json; a = json.loads({answer!r}); a['status']['token'] = open({str(token)!r}).read(); "
        f"open({str(directory / 'calls')!r}, 'a').write('x'); print(json.dumps(a))"
    )
    return {"exec": {"apiVersion": api, "command": sys.executable, "args": ["-c", program]}}
