"""Who may do what: four accounts with a bearer token each, and the kubeconfig files that hold the tokens.

`kubeconfig` belongs to the admin, who may do everything. `resetd.kubeconfig` belongs to the daemon, which may do
everything too; faults meet this account alone, so tests and people are spared. `viewer.kubeconfig` may get, list and
watch, and read logs: it has what ClusterRole `view` has, which is neither exec nor any write. `account.kubeconfig` is
the service account's `resetd` in the namespace `resetd`, which may do what RBAC gives it, and nothing at first.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from sandbox.kubernetes.api import rbac
from sandbox.kubernetes.api.certificates import AUTHORITY
from sandbox.kubernetes.objects import statuses
from sandbox.kubernetes.objects.kinds import SECRETS, Target
from sandbox.kubernetes.objects.objects import Objects

ADMIN, DAEMON = "admin", "resetd"
ACCOUNT = f"{rbac.PREFIX}resetd:resetd"
_FILES = {
    ADMIN: "kubeconfig",
    DAEMON: "resetd.kubeconfig",
    "viewer": "viewer.kubeconfig",
    ACCOUNT: "account.kubeconfig",
}
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass
class Access:
    """The accounts by their tokens. A token that was rotated is refused at once."""

    users: dict[str, str] = field(default_factory=dict)
    _directory: Path = Path()
    _url: str = ""

    def write(self, directory: Path, url: str) -> None:
        """Write the kubeconfig files for `url`; tokens are made at the first start and kept.

        An account with a file `{user}.refused` keeps its kubeconfig, and is nobody to this server.
        """
        self._directory, self._url = directory, url
        authority = base64.b64encode((directory / AUTHORITY).read_bytes()).decode()
        self.users.clear()
        for user, file in _FILES.items():
            kept = (
                directory / file.replace("kubeconfig", "token")
                if user == ACCOUNT
                else directory / f"{user}.token"
            )
            if not kept.exists():
                kept.touch(mode=0o600)
                kept.write_text(secrets.token_urlsafe(32))
            token = kept.read_text()
            if not (directory / f"{user}.refused").exists():
                self.users[token] = user
            (directory / file).touch(mode=0o600)
            (directory / file).write_text(_kubeconfig(url, authority, user, token))

    def rotate(self, user: str) -> None:
        """Give an account another token, in `{user}.token` and in its kubeconfig; the former one is refused."""
        if user not in _FILES:
            raise statuses.Refusal(404, "NotFound", f"there is no account {user}")
        (self._directory / f"{user}.token").write_text(secrets.token_urlsafe(32))
        self.write(self._directory, self._url)

    def user(self, authorization: str) -> str:
        """The account that sends this Authorization header; Refusal 401 for an unknown token."""
        scheme, _, token = authorization.partition(" ")
        for known, user in self.users.items():
            if scheme.lower() == "bearer" and secrets.compare_digest(known, token.strip()):
                return user
        raise statuses.Refusal(401, "Unauthorized", "Unauthorized")

    def check(self, objects: Objects, user: str, method: str, target: Target, *, watch: bool) -> None:
        """Refuse what the account may not do: Refusal 403."""
        verb = _VERBS.get(method, method.lower())
        if verb == "get" and not target.name:
            verb = "watch" if watch else "list"
        reads = verb in {"get", "list", "watch"} and target.subresource != "exec"
        if user in {ADMIN, DAEMON}:
            return
        if (
            rbac.allows(objects, user, verb, target)
            if user == ACCOUNT
            else reads and target.kind is not SECRETS
        ):
            return
        kind = target.kind
        plural = f"{kind.plural}/{target.subresource}" if target.subresource else kind.plural
        scope = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
        why = f'User "{user}" cannot {verb} resource "{plural}" in API group "{kind.group}" {scope}'
        raise statuses.forbidden(kind.plural, kind.group, target.name, why)


def _kubeconfig(url: str, authority: str, user: str, token: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "sandbox",
            "clusters": [
                {
                    "name": "sandbox",
                    "cluster": {"server": url, "certificate-authority-data": authority},
                }
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": user}}],
        },
        sort_keys=False,
    )
