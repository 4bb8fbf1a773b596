"""The only place that builds adapters: settings in, a running daemon out.

Over 300 lines: the one place that builds every adapter, and so knows each of their settings.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import structlog

from daemon.adapters.dumps.directory_marks import FileMarks
from daemon.adapters.dumps.opening import AgeKeys, check_keys, open_bucket_marks, open_dumps
from daemon.adapters.dumps.s3_connection import S3Connection
from daemon.adapters.files.logs import FileLogs
from daemon.adapters.github.connection import Connection as GitHubConnection
from daemon.adapters.github.repositories import GitHubRepositories
from daemon.adapters.kafka.connection import Connection
from daemon.adapters.kafka.inbox import KafkaInbox
from daemon.adapters.kafka.outlet import KafkaOutlet
from daemon.adapters.kubernetes.argocd import ArgoGate
from daemon.adapters.kubernetes.client import Kubernetes, KubernetesSettings, open_kubernetes
from daemon.adapters.kubernetes.pods import KubernetesPods
from daemon.adapters.kubernetes.quiescing.quiescing import KubernetesQuiescing
from daemon.adapters.postgres.backups import PostgresBackups
from daemon.adapters.postgres.contents import PostgresContents
from daemon.adapters.postgres.databases import PostgresDatabases
from daemon.adapters.postgres.scratch.proofs import ScratchProofs
from daemon.adapters.postgres.urls import Network
from daemon.adapters.store import embedded_lock, is_missing_file, migrations, open_store
from daemon.adapters.system import garbage_collector
from daemon.adapters.system.clock import SystemClock
from daemon.adapters.system.identifiers import new_boot_id, new_reset_id
from daemon.api.app import create_app
from daemon.api.context import ApiContext
from daemon.api.server import listen, serve_api
from daemon.api.token_file import TokenApprovers, load_tokens
from daemon.config.admin_servers import read_admin_servers
from daemon.config.backup_store import backup_store, store_secrets
from daemon.config.catalog_file import LoadedCatalog, load_catalog
from daemon.config.environment_variables import secret_file
from daemon.config.settings import Settings, SettingsError
from daemon.config.without_effect import given_without_effect, warn_of_what_has_no_effect
from daemon.config.yaml_documents import DocumentError
from daemon.engine.doctor import Doctor
from daemon.engine.drive import DriveFactory
from daemon.engine.driver import Driver
from daemon.engine.facts.backups import BackupReader
from daemon.engine.facts.reader import FactsReader
from daemon.engine.facts.survey import Survey
from daemon.engine.high_water import HighWater
from daemon.engine.planning import Planning
from daemon.engine.resting import Resting
from daemon.engine.restraints import Restraints
from daemon.engine.states.waiting import WaitingLimits
from daemon.engine.supervisor import Limits, Supervisor, run_until
from daemon.engine.sweepers.backup_branches import BackupBranchSweeper
from daemon.engine.sweepers.backups import BackupKeeper, BackupLimits
from daemon.engine.sweepers.holders import HolderSweeper
from daemon.engine.sweepers.pruner import Pruner
from daemon.engine.sweepers.quiesced import QuiesceSweeper
from daemon.engine.sweepers.restraints import RestraintSweeper
from daemon.engine.sweepers.scratch import ScratchSweeper
from daemon.intake.consumer import Intake
from daemon.intake.entries import IntakeRules
from daemon.metrics import Metrics
from daemon.ports import Ports
from daemon.ports.approvers import Approvers
from daemon.ports.clock import Clock
from daemon.ports.dump_store import DumpStore
from daemon.ports.errors import PermanentError, PortError
from daemon.ports.marks import Marks
from daemon.ports.pods.pods import Pods
from daemon.ports.store.outbox import StatusTopics
from daemon.ports.store.store import Store
from daemon.publishing.outbox import Outbox
from daemon.redaction.known_values import KNOWN
from schemas.admin_servers import AdminServer
from schemas.api import Finding, FindingLevel
from schemas.catalog.catalog import Catalog
from schemas.protection import RememberedUse, Word
from schemas.reasons import Reason
from schemas.retention import Retention
from statemachines.planning.sharing import CHECK, findings

log = structlog.get_logger()


@dataclass(frozen=True)
class Daemon:
    """The loops that `serve` runs side by side, by name, and the owner of their leases."""

    owner: str
    loops: dict[str, Callable[[], Awaitable[None]]]


@dataclass(frozen=True)
class _Engine:
    """The parts of the engine that API and intake ask as well."""

    ports: Ports
    planning: Planning
    keeper: BackupKeeper
    doctor: Doctor
    high_water: HighWater
    supervisor: Supervisor
    restraints: Restraints


async def serve(settings: Settings, *, store_as: Callable[[Store], Store] = lambda store: store) -> None:
    """Run the daemon until SIGTERM or SIGINT. Then nothing new is started, and running commands go on.

    `store_as` puts something in front of the state store: a fault test ends the process at a chosen commit there.

    Raises:
        SettingsError: a setting that only `serve` needs is missing.
        CatalogError: the catalog can't be used.
        PortError: another process uses the embedded state; no cluster is configured; no database answers.
    """
    if settings.kafka_bootstrap_servers is None:
        raise SettingsError(("RESETD_KAFKA_BOOTSTRAP_SERVERS: is needed; give host:port of a broker",))
    catalog = load_catalog(settings.catalog)
    KNOWN.never = catalog.catalog.names
    KNOWN.learn(store_secrets())
    state_url = settings.state_url.get_secret_value()
    stop = asyncio.Event()
    with (
        embedded_lock(state_url),
        listen(settings.api_host, settings.api_port) as listening,
        _stopped_by_signals(stop),
    ):
        await asyncio.to_thread(migrations.upgrade, state_url)
        async with AsyncExitStack() as stack:
            kubernetes = await stack.enter_async_context(open_kubernetes(kubernetes_settings(settings)))
            topics = StatusTopics(status=settings.status_topic, public_url=settings.api_url)
            store = store_as(
                await stack.enter_async_context(
                    open_store(state_url, topics, url_file=secret_file("database_url"))
                )
            )
            # Workers share their state, and so the name by which databases know them.
            name = sha256((await store.state_id()).encode()).hexdigest()[:16]
            daemon = _build(settings, catalog, kubernetes, store, stop, listening, name)
            if settings.database_url is None:
                # The file's lock proves that the holders of these leases are dead.
                await store.release_all()
            garbage_collector.configure()
            warn_of_what_has_no_effect(settings, catalog.catalog)
            log.info("daemon.started", owner=daemon.owner, catalog=catalog.id)
            await run_until(stop, daemon.loops)
            log.info("daemon.stopped")


def _build(
    settings: Settings,
    loaded: LoadedCatalog,
    kubernetes: Kubernetes,
    store: Store,
    stop: asyncio.Event,
    listening: socket.socket,
    name: str,
) -> Daemon:
    clock, metrics, owner = SystemClock(), Metrics(), new_boot_id()
    tokens = load_tokens(settings)
    approvers = TokenApprovers(tokens, clock)
    engine = _engine(settings, loaded, kubernetes, store, clock, metrics, owner, approvers, name)
    connection = _kafka(settings)
    inbox = KafkaInbox(
        connection,
        group_id=settings.kafka_group_id,
        topics=(settings.requests_topic, settings.environments_topic),
        session_timeout=settings.kafka_session_timeout.total_seconds(),
    )
    rules = IntakeRules(
        requests_topic=settings.requests_topic,
        environments_topic=settings.environments_topic,
        dead_letters_topic=settings.dead_letters_topic,
        max_age=settings.request_max_age,
    )
    intake = Intake(
        inbox,
        store,
        rules,
        clock,
        metrics,
        new_id=new_reset_id,
        limit_waiting=loaded.catalog.queue.waiting,
        gate=engine.high_water.check,
    )
    outbox = Outbox(store, KafkaOutlet(connection), clock, owner=owner)
    context = ApiContext(
        store=store,
        catalog=loaded.catalog,
        tokens=tokens,
        logs=engine.ports.logs,
        pods=engine.ports.pods,
        planning=engine.planning,
        doctor=engine.doctor,
        keeper=engine.keeper,
        clock=clock,
        metrics=metrics,
        new_id=new_reset_id,
        ready={
            "kubernetes": _answers(engine.ports.pods),
            "kafka": outbox.check,
            "mark": engine.high_water.check,
        },
        closing=stop,
    )
    app = create_app(context)
    sweeper = HolderSweeper(engine.ports.pods, store, clock, engine.high_water)
    quiesce_sweeper = QuiesceSweeper(
        engine.ports.quiescing, store, clock, engine.high_water, quiesces=bool(loaded.catalog.quiesce)
    )
    restraints = RestraintSweeper(engine.restraints, store, clock, engine.high_water, settings.status_topic)
    scratch_sweeper = ScratchSweeper(engine.ports.proofs, store, clock)
    pruner = Pruner(store, engine.ports.logs, clock, engine.high_water, metrics, _retention(settings))
    branches = BackupBranchSweeper(
        engine.ports.repositories,
        store,
        clock,
        engine.high_water,
        metrics,
        loaded.catalog,
        timedelta(days=settings.backup_keep_days),
    )
    return Daemon(
        owner,
        {
            "claims": engine.supervisor.claim_forever,
            "leases": engine.supervisor.renew_forever,
            "intake": intake.run,
            "outbox": outbox.run,
            "sweeper": sweeper.run,
            "quiesce-sweeper": quiesce_sweeper.run,
            "restraint-sweeper": restraints.run,
            "scratch-sweeper": scratch_sweeper.run,
            "pruner": pruner.run,
            "branch-pruner": branches.run,
            "backup-keeper": engine.keeper.run,
            "api": lambda: serve_api(app, listening),
        },
    )


def _engine(
    settings: Settings,
    loaded: LoadedCatalog,
    kubernetes: Kubernetes,
    store: Store,
    clock: Clock,
    metrics: Metrics,
    owner: str,
    approvers: Approvers,
    name: str,
) -> _Engine:
    catalog = loaded.catalog
    pods = KubernetesPods(kubernetes)
    network = Network(settings.addresses_of_databases, settings.database_ca_file, name)
    dumps = open_dumps(_backup_store(settings), _age_keys(settings))
    _tell_of_lost_keys(dumps)
    backups = PostgresBackups(dumps, settings.pg_bin, network)
    ports = Ports(
        pods=pods,
        databases=PostgresDatabases(network),
        backups=backups,
        repositories=GitHubRepositories(_github(settings)),
        logs=FileLogs(settings.logs_dir),
        clock=clock,
        marks=marks_beside_backups(settings),
        contents=PostgresContents(network),
        quiescing=KubernetesQuiescing(kubernetes, settings.argocd_namespace),
        proofs=ScratchProofs(dumps, _admin_servers(settings), settings.pg_bin, network),
    )
    gate = ArgoGate(kubernetes, settings.argocd_namespace)
    facts = FactsReader(
        pods,
        ports.databases,
        ports.repositories,
        store,
        clock,
        catalog,
        ports.quiescing,
        BackupReader(ports.backups, ports.proofs, catalog),
    )
    planning = Planning(facts, catalog, loaded.id, given_without_effect(settings), approvers)
    high_water = HighWater(store, ports.marks, clock)
    drives = DriveFactory(
        store=store,
        ports=ports,
        deployments=gate,
        catalog=catalog,
        facts=facts,
        planning=planning,
        high_water=high_water,
        metrics=metrics,
        limits=WaitingLimits(approval_ttl=settings.approval_ttl),
        handshake_max_age=settings.handshake_max_age,
        approvers=approvers,
    )
    limits = Limits(settings.max_concurrent_resets, settings.lease_ttl.total_seconds())
    driver = Driver(drives, clock)
    supervisor = Supervisor(store, driver, high_water, clock, metrics, owner=owner, limits=limits)
    kept = BackupLimits(settings.backup_keep, timedelta(days=settings.backup_keep_days))
    keeper = BackupKeeper(store, backups, dumps, clock, high_water, kept)
    doctor = Doctor(pods, gate, facts, catalog, Resting(ports.quiescing, store), dumps)
    return _Engine(ports, planning, keeper, doctor, high_water, supervisor, drives.restraints)


def _admin_servers(settings: Settings) -> Callable[[], Sequence[AdminServer]]:
    """Return what reads the file of administrators' accounts: none without one."""
    path = settings.pg_admin_urls_file

    def read() -> Sequence[AdminServer]:
        if path is None:
            return ()
        try:
            servers = read_admin_servers(path)
        except DocumentError as error:
            raise PermanentError(Reason.NO_SCRATCH_SERVER, f"RESETD_PG_ADMIN_URLS_FILE: {error}") from error
        KNOWN.learn([server.url.get_secret_value() for server in servers])
        return servers

    return read


def _retention(settings: Settings) -> Retention:
    return Retention(
        resets=settings.retention_resets,
        records=settings.retention_records,
        answers=settings.retention_answers,
        audit=settings.retention_audit,
    )


def _answers(pods: Pods) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        await pods.environments()

    return check


def _kafka(settings: Settings) -> Connection:
    password = settings.kafka_sasl_password
    return Connection(
        bootstrap_servers=settings.kafka_bootstrap_servers or "",
        security_protocol=settings.kafka_security_protocol,
        sasl_mechanism=settings.kafka_sasl_mechanism or "PLAIN",
        sasl_username=settings.kafka_sasl_username,
        sasl_password=password.get_secret_value() if password else None,
        sasl_password_file=secret_file("kafka_sasl_password") if password else None,
        ssl_cafile=str(settings.kafka_ssl_cafile) if settings.kafka_ssl_cafile else None,
        ssl_certfile=str(settings.kafka_ssl_certfile) if settings.kafka_ssl_certfile else None,
        ssl_keyfile=str(settings.kafka_ssl_keyfile) if settings.kafka_ssl_keyfile else None,
    )


def _github(settings: Settings) -> GitHubConnection:
    """Raises SettingsError where it is not said whose repositories they are."""
    if settings.github_owner is None:
        raise SettingsError(("RESETD_GITHUB_OWNER: is needed; give the organisation of the repositories",))
    token, key = settings.github_token, settings.github_app_private_key
    # The files are read again for each operation: others rotate them.
    token_file, key_file = secret_file("github_token"), secret_file("github_app_private_key")
    return GitHubConnection(
        owner=settings.github_owner,
        api_url=settings.github_api_url,
        token=token.get_secret_value() if token else None,
        token_file=token_file if token else None,
        app_id=settings.github_app_id,
        app_private_key=key.get_secret_value() if key else None,
        app_private_key_file=key_file if key else None,
        app_installation_id=settings.github_app_installation_id,
    )


def kubernetes_settings(settings: Settings) -> KubernetesSettings:
    """Which cluster, and how it is reached."""
    return KubernetesSettings(
        kubeconfig=str(settings.kubeconfig) if settings.kubeconfig else None, context=settings.kube_context
    )


async def survey_cluster(settings: Settings, catalog: Catalog) -> Sequence[Finding]:
    """Look for the services of a catalog in the cluster, by lists and by what the state database remembers.

    Raises:
        PortError: no cluster is configured, or it can't be asked.
    """
    remembered, words, unread = await _memory(settings)
    async with open_kubernetes(kubernetes_settings(settings)) as kubernetes:
        facts, namespaces = await Survey(KubernetesPods(kubernetes), catalog).look(remembered, words)
    return [*findings(facts, namespaces, catalog), *unread]


async def _memory(
    settings: Settings,
) -> tuple[Sequence[RememberedUse], Sequence[Word], Sequence[Finding]]:
    """What is remembered of protected environments, what people said, and a finding where that can't be read."""
    try:
        url = settings.state_url.get_secret_value()
        if is_missing_file(url):
            return (), (), [_no_memory(FindingLevel.WARNING, "there is no state database here")]
        async with open_store(url) as store:
            kept = await store.words(now=SystemClock().now())
            return await store.protected(), tuple(word.word for word in kept), ()
    except PortError as error:
        return (), (), [_no_memory(FindingLevel.UNKNOWN, error.detail)]


def _no_memory(level: FindingLevel, why: str) -> Finding:
    return Finding(
        check=CHECK,
        subject="memory",
        level=level,
        detail=f"{why}: what is remembered of protected environments was not looked at",
        hint="`resetd doctor ENV` looks at it, or name the daemon's state by RESETD_DATABASE_URL.",
    )


def marks_beside_backups(settings: Settings) -> Marks:
    """Return the marks, which lie where the backups are.

    Raises:
        SettingsError: the store can't be used.
    """
    where = _backup_store(settings)
    return FileMarks(where) if isinstance(where, Path) else open_bucket_marks(where)


def _tell_of_lost_keys(dumps: DumpStore) -> None:
    """Log that no dump could be restored. No dump is stored then, and so nothing is destroyed."""
    try:
        check_keys(dumps)
    except PermanentError as error:
        log.error("backups.keys-unusable", detail=error.detail, hint=error.hint)  # noqa: TRY400 - no traceback for people


def _age_keys(settings: Settings) -> AgeKeys | None:
    recipients, identities = settings.backup_age_recipients_file, settings.backup_age_identities_file
    return AgeKeys(recipients, identities) if recipients and identities else None


def _backup_store(settings: Settings) -> Path | S3Connection:
    where = backup_store(settings)
    return where if isinstance(where, Path) else S3Connection(**asdict(where))


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
