"""The closed list of reasons: why something was refused, stopped or set aside.

Each reason has a code for machines, a text for people and a page `/problems/CODE`. A reason says nothing of the case at
hand: the `detail` beside it does, from which secrets were removed.

Over 300 lines: one closed list, each code with its text.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The code of a reason: kebab-case on the wire."""

    # What could not be read: a dead letter.
    MALFORMED_JSON = "malformed-json"
    NOT_A_CLOUD_EVENT = "not-a-cloud-event"
    UNKNOWN_TYPE = "unknown-type"
    ENVIRONMENT_MISSING = "environment-missing"
    TOO_LARGE = "too-large"
    # Why a request that could be read is refused for what it says.
    SCHEMA_VIOLATION = "schema-violation"
    TOO_OLD = "too-old"
    UNKNOWN_SERVICE = "unknown-service"
    UNKNOWN_OPTION = "unknown-option"
    UNKNOWN_ENVIRONMENT = "unknown-environment"
    UNKNOWN_KIND = "unknown-kind"
    ENVIRONMENT_BUSY = "environment-busy"
    ENVIRONMENT_HELD = "environment-held"
    FROZEN = "frozen"
    NOT_FROZEN = "not-frozen"
    OUTSIDE_WINDOW = "outside-window"
    NOT_HELD = "not-held"
    RESET_AT_WORK = "reset-at-work"
    IDEMPOTENCY_CONFLICT = "idempotency-conflict"
    DUPLICATE = "duplicate"
    # Why a rule of the planner refuses a plan.
    MOCK_IN_PRODUCTION = "mock-in-production"
    CORE_WIPE_WITHOUT_LOS_CORE = "core-wipe-without-los-core"
    CORE_WITHOUT_SERVICE = "core-without-service"
    INTEGRATIONS_WITHOUT_SERVICE = "integrations-without-service"
    OPTION_WITHOUT_SERVICE = "option-without-service"
    OPTION_CONTRADICTS_MODE = "option-contradicts-mode"
    SHARING_UNKNOWN = "sharing-unknown"
    OWN_WORD = "own-word"
    SESSIONS_UNKNOWN = "sessions-unknown"
    DATABASE_UNIDENTIFIED = "database-unidentified"
    REPOSITORY_UNIDENTIFIED = "repository-unidentified"
    REPOSITORY_MISMATCH = "repository-mismatch"
    REPOSITORY_EMPTY = "repository-empty"
    REPOSITORY_SEVERAL_ROOTS = "repository-several-roots"
    REPOSITORY_RULESET = "repository-ruleset"
    REPOSITORY_PROTECTED = "repository-protected"
    REPOSITORY_FORBIDDEN = "repository-forbidden"
    REPOSITORY_ARCHIVED = "repository-archived"
    QUIESCE_REFUSED = "quiesce-refused"
    SERVICE_MISSING = "service-missing"
    SERVICE_UNSEEN = "service-unseen"
    NOTHING_TO_DO = "nothing-to-do"
    WITHOUT_EFFECT = "without-effect"
    # Why an act or a call of the API is refused.
    UNKNOWN_RESET = "unknown-reset"
    WRONG_STATE = "wrong-state"
    WRONG_PLAN = "wrong-plan"
    SELF_APPROVAL = "self-approval"
    ALREADY_APPROVED = "already-approved"
    ALREADY_ACCEPTED = "already-accepted"
    CONSENT_NEEDS_A_TOKEN = "consent-needs-a-token"  # noqa: S105 - a code, no password
    STALE_SEQUENCE = "stale-sequence"
    SUPERSEDED = "superseded"
    NOT_SKIPPABLE = "not-skippable"
    NOT_ACCEPTABLE = "not-acceptable"
    UNKNOWN_STEP = "unknown-step"
    REASON_REQUIRED = "reason-required"
    UNKNOWN_PROTECTED = "unknown-protected"
    NOTHING_REMEMBERED = "nothing-remembered"
    WOULD_REPEAT = "would-repeat"
    UNAUTHENTICATED = "unauthenticated"
    TOKENS_UNREADABLE = "tokens-unreadable"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    TOO_MANY_STREAMS = "too-many-streams"
    TOO_SLOW = "too-slow"
    PRECONDITION_FAILED = "precondition-failed"
    UNAVAILABLE = "unavailable"
    NOT_YET = "not-yet"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    INTERNAL = "internal"
    # Why a reset stopped.
    APPROVAL_EXPIRED = "approval-expired"
    CONSENT_VOID = "consent-void"
    DENIED = "denied"
    CANCELLED_BY_REQUEST = "cancelled-by-request"
    DEPROVISIONED = "deprovisioned"
    PLAN_CHANGED = "plan-changed"
    DATABASE_MISMATCH = "database-mismatch"
    BACKUP_FAILED = "backup-failed"
    BACKUP_UNPROVEN = "backup-unproven"
    BACKUP_OUTDATED = "backup-outdated"
    NO_SCRATCH_SERVER = "no-scratch-server"
    PG_DUMP_TOO_OLD = "pg-dump-too-old"
    BACKUP_STORE_UNFIT = "backup-store-unfit"
    CONSENT_SPENT = "consent-spent"
    POD_NOT_FOUND = "pod-not-found"
    QUIESCED = "quiesced"
    QUIESCE_UNDONE = "quiesce-undone"
    STILL_RUNNING = "still-running"
    SESSIONS_LEFT = "sessions-left"
    NOT_HEALTHY = "not-healthy"
    POD_NOT_READY = "pod-not-ready"
    EXEC_REFUSED = "exec-refused"
    COMMAND_FAILED = "command-failed"
    CHECK_FAILED = "check-failed"
    CHECK_NOT_MET = "check-not-met"
    TABLES_EMPTY = "tables-empty"
    SEED_NOT_SEEN = "seed-not-seen"
    MIGRATIONS_NOT_SHOWN = "migrations-not-shown"
    CONFIGURED_SEED = "configured-seed"
    LOST_BY_WIPE = "lost-by-wipe"
    TOOL_USAGE = "tool-usage"
    COMMAND_TIMED_OUT = "command-timed-out"
    COMMAND_INTERRUPTED = "command-interrupted"
    OUTCOME_UNKNOWN = "outcome-unknown"
    DATABASE_UNREACHABLE = "database-unreachable"
    DATABASE_LOCAL_TO_POD = "database-local-to-pod"
    DATABASE_SEVERAL_HOSTS = "database-several-hosts"
    DATABASE_POOLED = "database-pooled"
    DATABASE_STANDBY = "database-standby"
    DATABASE_TLS = "database-tls"
    MIGRATION_LOCKED = "migration-locked"
    MIGRATION_FAILED_BEFORE = "migration-failed-before"
    MIGRATION_FAILED = "migration-failed"
    MIGRATIONS_PENDING = "migrations-pending"
    OUT_OF_MEMORY = "out-of-memory"
    EVICTED = "evicted"
    REPOSITORY_REFUSED = "repository-refused"
    REPOSITORY_MOVED = "repository-moved"
    REPOSITORY_ROOT_CHANGED = "repository-root-changed"
    REPOSITORY_UNREACHABLE = "repository-unreachable"
    KUBERNETES_UNREACHABLE = "kubernetes-unreachable"
    KUBERNETES_FORBIDDEN = "kubernetes-forbidden"
    NOT_SYNCED = "not-synced"
    VERIFY_FAILED = "verify-failed"
    NO_PROGRESS = "no-progress"
    RETRIES_EXHAUSTED = "retries-exhausted"
    REPETITION_STUCK = "repetition-stuck"
    STATE_RESTORED = "state-restored"


TEXTS: dict[Reason, str] = {
    Reason.MALFORMED_JSON: "The record is not valid JSON (RFC 8259) in UTF-8.",
    Reason.NOT_A_CLOUD_EVENT: "The record is not a CloudEvent 1.0 in binary or structured mode.",
    Reason.UNKNOWN_TYPE: "The event's type is not one that resetd handles on this topic.",
    Reason.ENVIRONMENT_MISSING: "The event's data does not name an environment as text.",
    Reason.TOO_LARGE: "The record is larger than resetd accepts or the broker takes back.",
    Reason.SCHEMA_VIOLATION: "A field is missing, unknown, or not of the type that the schema gives.",
    Reason.TOO_OLD: "The request is older than RESETD_REQUEST_MAX_AGE; publish it again if it still holds.",
    Reason.UNKNOWN_SERVICE: "The request names a service that the catalog does not have.",
    Reason.UNKNOWN_OPTION: "The request names an option that the catalog does not have.",
    Reason.UNKNOWN_ENVIRONMENT: "There is no namespace of that name in the cluster.",
    Reason.UNKNOWN_KIND: "The environment's kind (after the last hyphen) is not one of the catalog's.",
    Reason.ENVIRONMENT_BUSY: "As many resets as the catalog allows already wait for this environment.",
    Reason.ENVIRONMENT_HELD: "An operator holds this environment; `resetd unhold` ends that.",
    Reason.FROZEN: "Nothing new is destroyed until the freeze ends; `resetd unfreeze` ends it before its time.",
    Reason.OUTSIDE_WINDOW: "Nothing new is destroyed outside of the maintenance windows of the catalog.",
    Reason.NOT_FROZEN: "No such freeze is in force.",
    Reason.NOT_HELD: "Nobody holds this environment.",
    Reason.RESET_AT_WORK: "A reset is at work on what you want to hold.",
    Reason.IDEMPOTENCY_CONFLICT: "This idempotency key was used before with other content.",
    Reason.DUPLICATE: "This event was handled before.",
    Reason.MOCK_IN_PRODUCTION: "Mock data is never seeded in an environment of a protected kind.",
    Reason.CORE_WIPE_WITHOUT_LOS_CORE: (
        "Wiping the core schema needs los-core-api reseeded in the same reset: without `seed:system` no "
        "role, permission or queue is left."
    ),
    Reason.CORE_WITHOUT_SERVICE: "`core` was asked for without a service that has the core schema.",
    Reason.INTEGRATIONS_WITHOUT_SERVICE: "`integrations` was given without los-integrations.",
    Reason.OPTION_WITHOUT_SERVICE: "An option was given without the service that it belongs to.",
    Reason.OPTION_CONTRADICTS_MODE: "An option asks to keep what the mode destroys.",
    Reason.SHARING_UNKNOWN: (
        "A protected environment could not be read, so nobody knows whether it uses these databases; "
        "an approver of it can say so (`resetd protected confirm`)."
    ),
    Reason.OWN_WORD: (
        "The plan would rely on a word about a protected environment of the person who asked for the reset; "
        "another approver's word is needed, or another requester."
    ),
    Reason.SESSIONS_UNKNOWN: (
        "Somebody who is no known pod is connected to a database whose name others share: it may be theirs. "
        "End the session, or list it under `toleratedSessions`."
    ),
    Reason.DATABASE_UNIDENTIFIED: "A database could not be identified as the pod reaches it.",
    Reason.REPOSITORY_MISMATCH: "The hub answers for another repository than the one that was asked for.",
    Reason.REPOSITORY_UNIDENTIFIED: "A repository, its head or its root commit could not be read.",
    Reason.REPOSITORY_EMPTY: "The repository has no commit, so there is none to go back to.",
    Reason.REPOSITORY_SEVERAL_ROOTS: (
        "The branch descends from several root commits, and the catalog does not say which one to go back to."
    ),
    Reason.REPOSITORY_RULESET: "A ruleset of the repository forbids to rewind the branch or to make its backup branch.",
    Reason.REPOSITORY_PROTECTED: "The protection of the branch forbids to rewind it.",
    Reason.REPOSITORY_FORBIDDEN: "The daemon's account lacks a permission in the repository.",
    Reason.REPOSITORY_ARCHIVED: "The repository is archived or disabled: nobody can push to it.",
    Reason.QUIESCE_REFUSED: "Something that uses the databases can't be kept at rest while they are rebuilt.",
    Reason.SERVICE_MISSING: "The environment has no running pod of a service in the request.",
    Reason.SERVICE_UNSEEN: (
        "A protected environment shows no workload of a service, or one that has no pod to ask, so nobody knows what "
        "the service uses. Correct its `selector` in the catalog, list the environment under its `absent`, or delete "
        "the workload that nothing needs."
    ),
    Reason.WITHOUT_EFFECT: "The catalog or a setting asks for something that nothing acts on yet; no new reset starts.",
    Reason.NOTHING_TO_DO: "The request leads to a plan without a single step.",
    Reason.UNKNOWN_RESET: "There is no such reset.",
    Reason.WRONG_STATE: "The reset is in a state in which this act makes no sense.",
    Reason.WRONG_PLAN: "The approval is of another plan than the present one; read the plan again.",
    Reason.SELF_APPROVAL: "Who asked for a reset can not approve it.",
    Reason.ALREADY_APPROVED: "The same person has approved this plan already; another one is needed.",
    Reason.ALREADY_ACCEPTED: (
        "The same person has accepted what this check found already; another one is needed, since nobody is known to "
        "have asked for the reset."
    ),
    Reason.CONSENT_NEEDS_A_TOKEN: (
        "What is or may be protected is approved, resumed and cancelled by a person known by a token, not over Kafka."
    ),
    Reason.STALE_SEQUENCE: "The act names an older status than the reset's last one, or came before the reset stopped.",
    Reason.SUPERSEDED: "A later reset has touched one of these resources.",
    Reason.NOT_SKIPPABLE: "This step can be neither skipped nor resolved by a person's word.",
    Reason.NOT_ACCEPTABLE: (
        "Only a learned check by which alone a step failed can be accepted by a person's word. Mend what failed, then "
        "`resetd resume ID`."
    ),
    Reason.UNKNOWN_STEP: "The reset's plan has no step of that name.",
    Reason.REASON_REQUIRED: "This act needs a reason: it goes on a person's word, and the word is kept.",
    Reason.UNKNOWN_PROTECTED: (
        "This names neither a protected environment, nor a service, a database or a resource of it, nor a word."
    ),
    Reason.NOTHING_REMEMBERED: "Nothing is remembered of this; say what it uses.",
    Reason.WOULD_REPEAT: (
        "Steps that succeeded and are not to be repeated would run again; say so with `force` (`--force`)."
    ),
    Reason.UNAUTHENTICATED: "A valid token is needed.",
    Reason.TOKENS_UNREADABLE: "The file of tokens can't be used, so nobody is known.",
    Reason.FORBIDDEN: "The token's roles do not allow this here.",
    Reason.NOT_FOUND: "There is nothing at this address.",
    Reason.TOO_MANY_STREAMS: "So many streams are open that the daemon opens no other one.",
    Reason.TOO_SLOW: "The body of the request did not come in time.",
    Reason.PRECONDITION_FAILED: "It changed since it was read; read it again.",
    Reason.UNAVAILABLE: "Something that resetd depends on does not answer; try again.",
    Reason.NOT_YET: "This is not available yet.",
    Reason.METHOD_NOT_ALLOWED: "This address does not take that method.",
    Reason.INTERNAL: "resetd made a mistake; its log says which.",
    Reason.APPROVAL_EXPIRED: "Nobody approved, or nothing was begun on an approval, within RESETD_APPROVAL_TTL.",
    Reason.CONSENT_VOID: (
        "Somebody approved who has no token any more that lets them approve in each environment concerned; another "
        "approver has to agree."
    ),
    Reason.DENIED: "An approver denied it.",
    Reason.CANCELLED_BY_REQUEST: "Somebody asked for it to be cancelled.",
    Reason.DEPROVISIONED: "The environment was deprovisioned while the reset waited.",
    Reason.PLAN_CHANGED: "The facts under the plan changed; it has to be planned and agreed to again.",
    Reason.DATABASE_MISMATCH: (
        "A database is not the one that it has to be: two addresses lead to different ones, another one answers than "
        "was planned or backed up, or its marker names other environments."
    ),
    Reason.BACKUP_FAILED: "A database could not be dumped; nothing was destroyed.",
    Reason.BACKUP_UNPROVEN: "A dump could not be proven or is gone; nothing was destroyed without it.",
    Reason.NO_SCRATCH_SERVER: "A backup has to be restored to prove it, and no scratch server fits.",
    Reason.PG_DUMP_TOO_OLD: "No pg_dump is as new as the database's server; nothing was destroyed.",
    Reason.BACKUP_OUTDATED: "A dump is from before the reset stopped; nothing more is destroyed before a new one.",
    Reason.BACKUP_STORE_UNFIT: "The backup store can't keep what was saved from being replaced; nothing was destroyed.",
    Reason.CONSENT_SPENT: (
        "The consent is from before the reset stopped: people have to agree again before anything more is destroyed."
    ),
    Reason.POD_NOT_FOUND: "No pod of the service exists.",
    Reason.QUIESCED: "A reset that has not come to its end keeps the service scaled to 0.",
    Reason.QUIESCE_UNDONE: "Somebody has scaled up, or set free, what was quiesced.",
    Reason.STILL_RUNNING: "What was quiesced has not ended yet.",
    Reason.SESSIONS_LEFT: "Somebody else is connected to a database that is to be rebuilt.",
    Reason.NOT_HEALTHY: "What was released does not run again.",
    Reason.POD_NOT_READY: "No pod of the service is ready.",
    Reason.EXEC_REFUSED: "Kubernetes refused to run a command in the pod.",
    Reason.COMMAND_FAILED: "The command ended with an exit code other than 0.",
    Reason.CHECK_FAILED: "Whether a step has to run again could not be told, so it was not run.",
    Reason.CHECK_NOT_MET: (
        "The command ended well, and the daemon does not find in the database what the catalog says must be there."
    ),
    Reason.TABLES_EMPTY: (
        "The command ended well, and tables are empty that had rows after this step in the last wipe that was done."
    ),
    Reason.SEED_NOT_SEEN: (
        "The seed exited with 0, none of its checks tells of it, and it left no sign in its database: whether it did "
        "anything can't be told."
    ),
    Reason.MIGRATIONS_NOT_SHOWN: "The image shows no migration, so whether the database has all of them can't be told.",
    Reason.CONFIGURED_SEED: (
        "The command would also run the seed that the image configures for Prisma, or whether it would can't be told."
    ),
    Reason.LOST_BY_WIPE: (
        "Something in the database would be lost with its schema, and neither the migrations nor the service's role "
        "can make it again."
    ),
    Reason.TOOL_USAGE: "The tool printed its usage: its version does not take the catalog's command.",
    Reason.COMMAND_TIMED_OUT: "The command ran past its time limit and was stopped.",
    Reason.COMMAND_INTERRUPTED: "The command is known to be dead and left no exit code.",
    Reason.OUTCOME_UNKNOWN: "What became of the command can't be known; a person has to look and say.",
    Reason.DATABASE_UNREACHABLE: "The database does not answer (Prisma P1001, or a refused connection).",
    Reason.DATABASE_LOCAL_TO_POD: (
        "The pod reaches its database at an address of its own (localhost, a socket), which leads resetd elsewhere."
    ),
    Reason.DATABASE_SEVERAL_HOSTS: "The connection string names several hosts: two connections may reach two servers.",
    Reason.DATABASE_POOLED: (
        "A pooler hands the daemon's session to another backend between transactions, so nothing stays in it."
    ),
    Reason.DATABASE_STANDBY: "The server is a standby (in recovery): it can be neither dumped for a reset nor reset.",
    Reason.DATABASE_TLS: "The encrypted connection that the connection string asks for could not be made or trusted.",
    Reason.MIGRATION_LOCKED: "Another migration holds the advisory lock (Prisma P1002).",
    Reason.MIGRATION_FAILED_BEFORE: "An earlier migration failed midway and blocks new ones (Prisma P3009).",
    Reason.MIGRATION_FAILED: "A migration failed (Prisma P3018, TypeORM QueryFailedError).",
    Reason.MIGRATIONS_PENDING: "Migrations are pending: a seed alone does not apply them.",
    Reason.OUT_OF_MEMORY: "The container was killed for using more memory than its limit.",
    Reason.EVICTED: "The pod was evicted from its node.",
    Reason.REPOSITORY_REFUSED: "GitHub refuses the reset of the branch.",
    Reason.REPOSITORY_MOVED: "Somebody pushed to the branch after its head was read.",
    Reason.REPOSITORY_ROOT_CHANGED: "The branch has other root commits than the plan that people agreed to.",
    Reason.REPOSITORY_UNREACHABLE: "GitHub does not answer or is rate limiting.",
    Reason.KUBERNETES_UNREACHABLE: "The Kubernetes API server does not answer.",
    Reason.KUBERNETES_FORBIDDEN: "The daemon's account lacks a right that it needs.",
    Reason.NOT_SYNCED: "ArgoCD does not say Synced and Healthy.",
    Reason.VERIFY_FAILED: "A check after the reset failed.",
    Reason.NO_PROGRESS: "Three claims in a row made no progress.",
    Reason.RETRIES_EXHAUSTED: "A temporary failure stayed through every retry.",
    Reason.REPETITION_STUCK: "A command that undoes one thing at a time succeeds again and again without undoing any.",
    Reason.STATE_RESTORED: (
        "The state database is older than what was launched from it: it was restored from a backup, or is new."
    ),
}
"""The text for people of each reason."""
