"""All settings of `resetd`: environment variables `RESETD_*`, and `RESETD_..._FILE` for each secret.

`load()` answers checked settings or raises `SettingsError`. The error has a line for each variable that is wrong: what
is wrong, and the next step. It never shows a value, because the value may be a secret.

Over 300 lines: every setting has its line, and its check stands beside it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from daemon.config.environment_variables import (
    PREFIX,
    Duration,
    Environment,
    Kept,
    SettingsError,
    WebAddress,
    is_secret,
    read,
    variable_of,
)

__all__ = [
    "ClientSettings",
    "Settings",
    "SettingsError",
    "is_secret",
    "load",
    "load_client",
]


class ClientSettings(Environment):
    """Settings that the command line needs to reach a daemon."""

    url: WebAddress = "http://127.0.0.1:8080"
    """Address of the daemon's HTTP API."""
    token: SecretStr | None = None
    """Token for the API; none: the one in the file `operator-token` in `data_dir`, where that exists."""
    data_dir: Path = Path("./var")
    """Directory of the embedded state, backups and logs."""


class Settings(Environment):
    """Settings of the daemon. Their names, defaults and meanings are public."""

    data_dir: Path = Path("./var")
    """Directory of the embedded state, backups and logs."""
    database_url: SecretStr | None = None
    """State database, `postgresql://user:password@host:port/db`; none: a SQLite file in `data_dir`."""
    catalog: Path | None = None
    """Catalog file; none: the one that is shipped."""

    kafka_bootstrap_servers: str | None = None
    """Brokers, `host:port,host:port`; required by `serve`."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Whether connections to the brokers are encrypted (`SSL`) and authenticated (`SASL`)."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """Needed with a protocol of `SASL`."""
    kafka_sasl_username: str | None = None
    """Needed with a protocol of `SASL`."""
    kafka_sasl_password: SecretStr | None = None
    """Needed with a protocol of `SASL`."""
    kafka_ssl_cafile: Path | None = None
    """Certificates of the authorities that the brokers' certificates come from; none: those of the system."""
    kafka_ssl_certfile: Path | None = None
    """The daemon's own certificate, for brokers that ask for one."""
    kafka_ssl_keyfile: Path | None = None
    """Key of the daemon's own certificate."""
    kafka_group_id: str = "resetd"
    """Consumer group; all replicas have the same one."""
    kafka_session_timeout: Duration = timedelta(seconds=10)
    """How long a replica may be silent before another takes over its partitions."""
    requests_topic: str = "fuse.environment-resets.requests.v1"
    """Topic of events that ask for resets, or to resume or cancel one."""
    environments_topic: str = "fuse.environments.v1"
    """Topic of events that tell of environments, as when one is provisioned."""
    status_topic: str = "fuse.environment-resets.status.v1"
    """Topic to which the daemon publishes what becomes of resets."""
    dead_letters_topic: str = "fuse.environment-resets.dead-letters.v1"
    """Topic to which the daemon publishes records that it can't read."""

    database_hosts: str | None = None
    """Addresses of environments' database hosts, `db.qa-sandbox.svc=10.0.0.7,...`; none: as their names resolve."""
    database_ca_file: Path | None = None
    """Certificates of the authorities that environments' databases have theirs from; none: those of the system."""

    kubeconfig: Path | None = None
    """Kubeconfig of the cluster; none: the account of the daemon's pod, else the usual rules of KUBECONFIG."""
    kube_context: str | None = None
    """Context in the kubeconfig; none: its current one."""
    argocd_namespace: str = "argocd"
    """Namespace of ArgoCD's Applications; empty: no gate by ArgoCD."""

    github_api_url: WebAddress = "https://api.github.com"
    """Address of GitHub's API."""
    github_owner: str | None = None
    """Organisation of the repositories; required by `serve`."""
    github_token: SecretStr | None = None
    """Token that may read and force-push the repositories; instead of it, the three settings of a GitHub App."""
    github_app_id: int | None = None
    """Id of a GitHub App that may read and force-push the repositories."""
    github_app_private_key: SecretStr | None = None
    """Private key of the GitHub App, in PEM."""
    github_app_installation_id: int | None = None
    """Id of the GitHub App's installation in the organisation."""

    backup_url: str | None = None
    """Where backups go: `file:///directory`, or `s3://bucket/prefix` with AWS' own variables; none: `backups` in
    `data_dir`."""
    backup_age_recipients_file: Path | None = None
    """A file of age's recipients that dumps are encrypted for; needs `backup_age_identities_file`. None: in clear."""
    backup_age_identities_file: Path | None = None
    """A file with the secret key of one of the recipients, with which dumps are read back and restored."""
    backup_keep: Annotated[int, Field(ge=1)] = 5
    """Of how many resets the dumps of a database stay, whatever their age."""
    backup_keep_days: Annotated[int, Field(ge=1)] = 30
    """How many days the dumps of other resets stay. A reset's dumps stay until a later one of the database is done."""
    pg_bin: Path | None = None
    """Directory with pg_dump, pg_restore, psql; none: PATH, then the embedded PostgreSQL's."""
    pg_admin_urls_file: Path | None = None
    """A file of accounts that may create databases: a list of `{server, url, scratch, maxBytes}`. Backups are
    restored on its scratch servers to prove them."""

    api_host: str = "127.0.0.1"
    """Address that the HTTP API listens on."""
    api_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port that the HTTP API listens on; 0: a free port, which the log names."""
    public_url: WebAddress | None = None
    """Address of the API for links in events and messages; none: made of `api_host` and `api_port`."""
    api_tokens: Path | None = None
    """YAML file of tokens; none: the only token is in `operator-token` in `data_dir`, made at the first start."""
    oidc_issuer: WebAddress | None = None
    """Address of the identity provider; needs `oidc_audience`. Nothing acts on it yet."""
    oidc_audience: str | None = None
    """The audience that a token of the identity provider has to name. Nothing acts on it yet."""
    oidc_roles_claim: str | None = None
    """The claim of an identity provider's token that holds the roles. Nothing acts on it yet."""

    max_concurrent_resets: Annotated[int, Field(ge=1, le=1000)] = 8
    """How many resets one process works on at the same time."""
    lease_ttl: Duration = timedelta(seconds=6)
    """How long a process may be silent before another takes over its resets."""
    approval_ttl: Duration = timedelta(hours=24)
    """How long a reset waits for approval."""
    handshake_max_age: Duration = timedelta(seconds=60)
    """How old a handshake may be when a step that writes is launched on it; an older one is made again first."""
    request_max_age: Duration = timedelta(hours=24)
    """How old an event may be; an older request is refused as `too-old`."""
    retention_resets: Kept = timedelta(days=400)
    """How long a reset that is over is kept, from its end; `never`: for good. What can be resumed stays, and so do the
    last reset of an environment, one with a backup, and the audit."""
    retention_records: Kept = timedelta(days=30)
    """How long events that were handled, idempotency keys, published messages and dead letters are known; `never`: for
    good. At least twice `RESETD_REQUEST_MAX_AGE`, and longer than Kafka keeps the topics."""
    retention_answers: Kept = timedelta(days=30)
    """How long rejected requests and dry runs are kept, at most 1,000 of them; `never`: for good, all of them. At least
    twice `RESETD_REQUEST_MAX_AGE`."""
    retention_audit: Kept = None
    """How long the audit of a reset that is gone is kept, in whole chains; none, or `never`: for good."""
    log_format: Literal["json", "text"] | None = None
    """Form of the log; none: text on a terminal, else JSON."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious level that is logged."""

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr | None) -> SecretStr | None:
        known = {"postgresql", "postgres", "sqlite"}
        if value and value.get_secret_value().partition("://")[0].partition("+")[0] not in known:
            raise ValueError(
                "is no URL of PostgreSQL; write it like postgresql://user:password@host:5432/resetd"
            )
        return value

    @field_validator("backup_url")
    @classmethod
    def _known_backup_store(cls, value: str | None) -> str | None:
        if value and urlsplit(value).scheme not in {"file", "s3"}:
            raise ValueError("names no known store; write it like file:///backups or s3://bucket/prefix")
        return value

    @field_validator("database_hosts")
    @classmethod
    def _hosts_of_databases(cls, value: str | None) -> str | None:
        for name, address in _pairs(value):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise ValueError("is no list like db.qa-sandbox.svc=10.0.0.7,db.other.svc=10.0.0.8") from None
            if name in {"", "localhost"} or name.endswith(".localhost") or name[0].isdigit():
                raise ValueError("names no host that is the same for all pods; localhost is each pod's own")
        return value

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        wrong: list[str] = []
        if self.kafka_security_protocol.startswith("SASL"):
            needed = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
            wrong += [
                f"{variable_of(name)}: is needed with {PREFIX}KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}"
                for name in needed
                if getattr(self, name) is None
            ]
        keys = {name: getattr(self, name) for name in _AGE_KEYS}
        if any(value is not None for value in keys.values()):
            wrong += [
                f"{variable_of(name)}: is needed with the other {PREFIX}BACKUP_AGE_* setting"
                for name, value in keys.items()
                if value is None
            ]
        app = {name: getattr(self, name) for name in _GITHUB_APP}
        if any(value is not None for value in app.values()):
            wrong += [
                f"{variable_of(name)}: is needed with the other {PREFIX}GITHUB_APP_* settings"
                for name, value in app.items()
                if value is None
            ]
            if self.github_token is not None:
                wrong.append(
                    f"{PREFIX}GITHUB_TOKEN: is set beside {PREFIX}GITHUB_APP_ID; unset one of the two"
                )
        if self.oidc_issuer is not None and self.oidc_audience is None:
            wrong.append(f"{PREFIX}OIDC_AUDIENCE: is needed with {PREFIX}OIDC_ISSUER")
        wrong += [
            f"{variable_of(name)}: is shorter than twice {PREFIX}REQUEST_MAX_AGE; an event could be taken in again"
            for name in ("retention_records", "retention_answers")
            if (kept := getattr(self, name)) is not None and kept < 2 * self.request_max_age
        ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    @property
    def state_url(self) -> SecretStr:
        """The state database's URL as SQLAlchemy's asyncio drivers want it."""
        if self.database_url is None:
            return SecretStr(f"sqlite+aiosqlite:///{self.data_dir / 'state.sqlite3'}")
        scheme, _, rest = self.database_url.get_secret_value().partition("://")
        driver = "sqlite+aiosqlite" if scheme.startswith("sqlite") else "postgresql+psycopg"
        return SecretStr(f"{driver}://{rest}")

    @property
    def addresses_of_databases(self) -> dict[str, str]:
        """`database_hosts` as a table: name of a host -> its IP address."""
        return dict(_pairs(self.database_hosts))

    @property
    def backups(self) -> str:
        """The backup store's URL, the default filled in."""
        return self.backup_url or (self.data_dir.resolve() / "backups").as_uri()

    @property
    def logs_dir(self) -> Path:
        """Directory where the output of commands is kept."""
        return self.data_dir / "logs"

    @property
    def operator_token_file(self) -> Path:
        """File of the token that the first start makes where no `RESETD_API_TOKENS` is given."""
        return self.data_dir / "operator-token"

    @property
    def api_url(self) -> str:
        """Address of the API for links: `public_url`, or one made of `api_host` and `api_port`."""
        host = f"[{self.api_host}]" if ":" in self.api_host else self.api_host
        return self.public_url or f"http://{host}:{self.api_port}"


def _pairs(text: str | None) -> Iterator[tuple[str, str]]:
    for pair in filter(None, (text or "").split(",")):
        name, _, address = pair.partition("=")
        yield name.strip().removesuffix(".").lower(), address.strip()


_AGE_KEYS = ("backup_age_recipients_file", "backup_age_identities_file")
_GITHUB_APP = ("github_app_id", "github_app_private_key", "github_app_installation_id")


def load(**given: object) -> Settings:
    """Read the daemon's settings from environment variables. Values in `given` win.

    Raises:
        SettingsError: one line for each variable that is wrong.
    """
    return read(Settings, given)


def load_client(**given: object) -> ClientSettings:
    """Read the command line's settings from environment variables. Values in `given` win.

    Raises:
        SettingsError: as `load`.
    """
    return read(ClientSettings, given)
