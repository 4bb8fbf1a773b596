"""What really happened, as the platform saw it, and what must never have: no word of the engine is believed here.

Over 300 lines: one witness of all that happens, whose rules see the same evidence.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from daemon.ports.store.leases import Change
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.resets import ActKind, Channel, OutcomeKind, Reset, ResetState
from schemas.wire import ResetId, ResourceKey
from tests.memory.store import MemoryStore

RESTING = frozenset(
    {
        ResetState.DONE,
        ResetState.PLANNED,
        ResetState.REJECTED,
        ResetState.DENIED,
        ResetState.FAILED,
        ResetState.CANCELLED,
    }
)
"""Nothing of a reset in one of these runs."""
WORKING = frozenset(
    {
        ResetState.BACKING_UP,
        ResetState.MIGRATING_CORE,
        ResetState.SEEDING,
        ResetState.RESETTING_GIT,
        ResetState.VERIFYING,
        ResetState.CANCELLING,
        ResetState.NEEDS_OPERATOR,
    }
)
"""A command may start in these: its reset keeps its locks. In `cancelling` a launch that is under way may still win
against the tombstone, in `needs-operator` nobody knew better.
"""


STOPPED = frozenset({ResetState.FAILED, ResetState.CANCELLED, ResetState.NEEDS_OPERATOR})
"""A reset that comes to one of these needs a new dump and a new consent before it destroys anything more."""
_UNKNOWN_ASKER = 2
"""How many people accept what is protected where nobody is known to have asked."""


@dataclass
class Run:
    """One process that a command was."""

    attempt: str
    container: str
    keys: tuple[ResourceKey, ...]
    """Databases that it really writes to."""
    act: int
    """Id of the last act of any reset when it started."""
    alive: bool = True
    exit_code: int | None = None
    """None while it runs, and where it was killed."""

    @property
    def reset(self) -> ResetId:
        """Whose it is, by its marker."""
        return ResetId(self.attempt.split("/", 2)[0])

    @property
    def step(self) -> str:
        """The step, by its marker."""
        return self.attempt.split("/", 2)[1]


@dataclass
class Witness:
    """Sees everything; `violations` is what it would tell a court."""

    store: MemoryStore
    never: frozenset[str]
    """Steps that nobody may launch again by himself."""
    protected: frozenset[ResourceKey] = frozenset()
    violations: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    rewound: list[tuple[ResetId, ResourceKey]] = field(default_factory=list)
    _by_attempt: dict[str, Run] = field(default_factory=dict)
    _backed_up: set[tuple[str, ResourceKey, int]] = field(default_factory=set)
    """Reset, database, and how often the reset had stopped when the dump began."""
    _destroyed: dict[ResetId, int] = field(default_factory=dict)
    """Reset -> its last status when it last destroyed something."""
    _dumps: dict[str, bytes] = field(default_factory=dict)
    _shown: set[tuple[str, ResourceKey]] = field(default_factory=set)
    _told: dict[ResetId, int] = field(default_factory=lambda: defaultdict(int))
    _judged: set[tuple[str, OutcomeKind]] = field(default_factory=set)
    acceptances: int = 0
    second_acceptances: int = 0
    """How many were applied."""
    _read: int = 0
    """Lines of the audit that were looked at."""

    def __post_init__(self) -> None:
        self.store.watchers.append(self.recorded)

    def recorded(self, change: Change) -> None:
        """A commit is about to be stored. None records a reset's first attempt to destroy something under a freeze.

        A freeze counts for what is recorded after it. What was recorded before it may be launched at once: it is under
        way. Whether a freeze is in force is for the store's clock to say, here as in the product; that no other clock
        ends one early has tests of its own (`tests/unit/engine/drives/test_frozen.py`).
        """
        state, reset_id = self.store.state, change.reset.id
        reset = state.entries[reset_id].reset
        begun = [attempt for attempt in change.attempts if attempt.outcome is None]
        plan = state.plans.get((reset_id, reset.plan_hash or ""))
        if reset.destroyed or not begun or plan is None:
            return
        destroys = {step.name for step in plan.steps if step.destructive}
        concerned = {reset.environment, *(user for each in plan.resources for user in each.users)}
        now = self.store.clock.now()
        for freeze in state.freezes.values():
            in_force = freeze.ended_at is None and now < freeze.expires_at
            about = freeze.environment is None or freeze.environment in concerned
            for attempt in begun:
                if in_force and about and attempt.step in destroys:
                    self._say(f"{attempt.id} was recorded while {freeze.scope} was frozen")

    # -- what the platform reports ------------------------------------------------------------------------------
    def stops_of(self, attempt: str) -> int:
        """How often the attempt's reset has stopped until now."""
        return len(self._stops(ResetId(attempt.split("/", 1)[0])))

    def backed_up(self, path: str, attempt: str, key: ResourceKey, content: bytes, *, stops: int) -> None:
        """A dump was written whole and read through; this is what lies under its name.

        `stops` is how often its reset had stopped when it began. A worker that stood still may dump once more for an
        attempt that another one has finished: under another name.
        """
        if self._dumps.setdefault(path, content) != content:
            self._say(f"the backup {path} was replaced")
        self._backed_up.add((attempt.split("/", 1)[0], key, stops))

    def shown(self, container: str, key: ResourceKey) -> None:
        """The tool in this container sent a nonce in this database while a session of a daemon listened there."""
        self._shown.add((container, key))

    def started(self, attempt: str, container: str, keys: tuple[ResourceKey, ...], *, writes: bool) -> Run:
        """A command's process began."""
        run = Run(attempt, container, keys, len(self.store.state.acts))
        self._has_a_right(run, writes=writes)
        self._by_attempt[attempt] = run
        self.runs.append(run)
        return run

    def second_writer(self, attempt: str, who: str) -> None:
        """A command that destroys began while pods of a service ran that uses the same database."""
        self._say(f"{attempt} was started while {who} had pods")

    def ended(self, run: Run, exit_code: int | None) -> None:
        """It is over; None: it was killed."""
        run.alive, run.exit_code = False, exit_code

    def moved(self, reset_id: ResetId, key: ResourceKey) -> None:
        """A branch was moved for this reset."""
        self.rewound.append((reset_id, key))
        self._locked(reset_id, key, f"the branch of {key} was moved")
        self._agreed(reset_id, key, "a branch was moved", self._stops(reset_id))
        self._destroys(reset_id)
        if self.store.state.entries[reset_id].reset.state not in WORKING:
            self._say(f"{key} was moved while its reset was {self.store.state.entries[reset_id].reset.state}")

    # -- what is looked at between steps ---------------------------------------------------------------------------
    def alive(self, reset_id: ResetId, step: str | None = None) -> list[Run]:
        """Its processes that run now."""
        return [one for one in self.runs if one.alive and one.reset == reset_id and step in {None, one.step}]

    def last(self, reset_id: ResetId, step: str) -> Run | None:
        """The last process of a step."""
        return next((one for one in reversed(self.runs) if (one.reset, one.step) == (reset_id, step)), None)

    def look(self) -> None:
        """What holds at every moment."""
        state = self.store.state
        for run in self.runs:
            if run.alive:
                reset = state.entries[run.reset].reset
                if reset.state in RESTING:
                    self._say(f"{run.attempt} runs although its reset is {reset.state}")
                for key in run.keys:
                    self._locked(run.reset, key, f"{run.attempt} runs")
        for reset_id, entry in state.entries.items():
            self._no_gap(entry.reset, len(state.history[reset_id]))
        for name, attempt in state.attempts.items():
            if attempt.outcome is not None and (name, attempt.outcome.kind) not in self._judged:
                self._judged.add((name, attempt.outcome.kind))
                self._true(
                    name,
                    attempt.outcome.kind,
                    resolved="resolvedBy" in attempt.outcome.facts,
                    ran=attempt.control is not None,
                )

        for line in state.audit[self._read :]:
            if line.action is AuditAction.ACCEPT and line.verdict is Verdict.APPLIED:
                self._accepted(line)
        self._read = len(state.audit)

    # -- rules -------------------------------------------------------------------------------------------------------
    def _has_a_right(self, run: Run, *, writes: bool) -> None:
        state = self.store.state
        if run.attempt in self._by_attempt:
            self._say(f"{run.attempt} was started twice")
        for other in self.alive(run.reset, run.step):
            self._say(f"{run.attempt} was started while {other.attempt} ran")
        recorded = state.attempts.get(run.attempt)
        if recorded is None or recorded.control is None:
            self._say(f"{run.attempt} was started before it was recorded")
        elif recorded.outcome is not None and recorded.outcome.kind is not OutcomeKind.UNKNOWN:
            self._say(f"{run.attempt} was started although it was {recorded.outcome.kind}")
        elif state.steps[run.reset][recorded.step].attempts > recorded.number:
            self._say(f"{run.attempt} was started although there is a later one")
        reset = state.entries[run.reset].reset
        if reset.state not in WORKING:
            self._say(f"{run.attempt} was started while its reset was {reset.state}")
        self._not_again(run)
        for key in run.keys:
            self._locked(run.reset, key, f"{run.attempt} was started")
            if writes:
                self._may_destroy(run, key)
                self._not_held(run.reset, key, f"{run.attempt} was started")
        if writes:
            self._destroys(run.reset)

    def _may_destroy(self, run: Run, key: ResourceKey) -> None:
        stops = self._stops_before(run)
        self._agreed(run.reset, key, f"{run.attempt} was started", stops)
        if (run.reset, key, len(stops)) not in self._backed_up:
            self._say(f"{run.attempt} was started without a backup of {key} since stop {len(stops)}")
        if (run.container, key) not in self._shown:
            self._say(f"{run.attempt} was started without a handshake with {key} in {run.container}")

    def _accepted(self, line: AuditEntry) -> None:
        """A person's word was about tables alone, and on protected resources that of a second person.

        Where nobody is known to have asked for those, two people said the same since the reset stopped.
        """
        self.acceptances += 1
        assert line.reset_id is not None
        entry = self.store.state.entries[line.reset_id]
        plan = self.store.state.plans[line.reset_id, entry.reset.plan_hash or ""]
        protected = any(resource.protected for resource in plan.resources)
        if (
            protected
            and entry.reset.channel is Channel.HTTP
            and line.actor == entry.reset.request.requested_by
        ):
            self._say(f"{line.actor} accepted what became of {line.reset_id}, which is protected and theirs")
        self.second_acceptances += line.facts.get("accepts") == "2 of 2"
        if protected and entry.reset.channel is not Channel.HTTP and line.facts.get("accepts") != "1 of 2":
            since = max(stop for stop in self._stops(line.reset_id) if stop <= (line.sequence or 0))
            people = {
                act.actor
                for act in self.store.state.acts
                if (act.reset_id, act.kind) == (line.reset_id, ActKind.ACCEPT)
                and since <= (act.last_status or 0)
                and act.id <= (line.act or 0)
            }
            if len(people) < _UNKNOWN_ASKER:
                self._say(f"{line.reset_id}: {line.actor} alone accepted, and nobody is known to have asked")
        if line.state is not ResetState.FAILED:
            self._say(f"{line.reset_id} took an acceptance while it was {line.state}")

    def _not_again(self, run: Run) -> None:
        before = self.last(run.reset, run.step)
        if before is None or run.step not in self.never:
            return
        asked = any(
            act.kind is ActKind.RESUME and act.id > before.act and act.reset_id == run.reset
            for act in self.store.state.acts
        )
        if not asked:
            self._say(f"{run.attempt}: a step that must never run twice did, and nobody asked for it")

    def _locked(self, reset_id: ResetId, key: ResourceKey, what: str) -> None:
        rows = [row for row in self.store.state.locks if row.key == key and row.granted]
        if [row.reset_id for row in rows] != [reset_id]:
            holders = ", ".join(row.reset_id for row in rows) or "nobody"
            self._say(f"{what} while {holders} held {key}")

    def _not_held(self, reset_id: ResetId, key: ResourceKey, what: str) -> None:
        """Nobody else has taken the locks: no person holds the database or the environment."""
        now, environment = self.store.clock.now(), self.store.state.entries[reset_id].reset.environment
        for hold in self.store.state.holds.values():
            granted = hold.granted_at is not None and hold.ended_at is None and now < hold.expires_at
            if granted and (key in hold.keys or hold.environment == environment):
                self._say(f"{what} although {hold.holder} held {hold.environment} and {key}")

    def _agreed(self, reset_id: ResetId, key: ResourceKey, what: str, stops: list[int]) -> None:
        if key not in self.protected:
            return
        reset = self.store.state.entries[reset_id].reset
        # A consent on which something was destroyed ended with the next stop.
        spent = self._destroyed.get(reset_id)
        since = 0 if spent is None else next((at for at in stops if at > spent), 0)
        people = {
            act.actor
            for act in self.store.state.acts
            if (act.reset_id, act.kind, act.channel) == (reset_id, ActKind.APPROVE, Channel.HTTP)
            and act.plan_hash == reset.plan_hash
            and not (reset.channel is Channel.HTTP and act.actor == reset.request.requested_by)
            and (act.last_status or 0) >= since
        }
        needed = 1 if reset.channel is Channel.HTTP else 2
        if len(people) < needed:
            self._say(
                f"{what} with {len(people)} of {needed} approvals of {reset.plan_hash} for {key} since {since}"
            )

    def _destroys(self, reset_id: ResetId) -> None:
        self._destroyed[reset_id] = self.store.state.entries[reset_id].reset.sequence

    def _stops(self, reset_id: ResetId) -> list[int]:
        """The statuses with which the reset came to a stop."""
        told = [(entry.sequence, entry.data["state"]) for entry in self.store.state.history[reset_id]]
        states = [None, *(state for _, state in told)]
        return [
            sequence
            for (sequence, state), before in zip(told, states, strict=False)
            if state in STOPPED and state != before
        ]

    def _stops_before(self, run: Run) -> list[int]:
        """The stops of its reset before it was launched.

        A launch that was under way when its reset stopped may still arrive, while nobody knows what became of it.
        """
        stops, reset = self._stops(run.reset), self.store.state.entries[run.reset].reset
        if reset.state not in {ResetState.CANCELLING, ResetState.NEEDS_OPERATOR}:
            return stops
        began = max(
            entry.sequence
            for entry in self.store.state.history[run.reset]
            if (entry.data.get("step"), entry.data.get("attempt"))
            == (run.step, int(run.attempt.rpartition("/")[2]))
            and entry.type.endswith("step-started.v1")
        )
        return [at for at in stops if at < began]

    def _no_gap(self, reset: Reset, told: int) -> None:
        if told == self._told[reset.id]:
            return
        self._told[reset.id] = told
        sequences = [entry.sequence for entry in self.store.state.history[reset.id]]
        if sequences != list(range(1, reset.sequence + 1)):
            self._say(f"reset {reset.id} is at status {reset.sequence}, and told {sequences}")

    def _true(self, attempt: str, kind: OutcomeKind, *, resolved: bool, ran: bool) -> None:
        run = self._by_attempt.get(attempt)
        if resolved:
            return
        if kind is OutcomeKind.SUCCEEDED and ran and (run is None or run.exit_code != 0):
            self._say(f"{attempt} is called succeeded, its exit code is {run.exit_code if run else 'none'}")
        if kind in {OutcomeKind.FAILED, OutcomeKind.INTERRUPTED} and run is not None and run.alive:
            self._say(f"{attempt} is called {kind}, and it runs")

    def _say(self, what: str) -> None:
        self.violations.append(what)
