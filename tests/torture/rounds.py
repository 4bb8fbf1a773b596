"""Plays one script against a stand, lets the resets settle, and gathers the evidence.

Over 300 lines: one round, from its events to its rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence

import httpx

from sandbox.events import UndeliveredError
from sandbox.faults import FaultKind
from sandbox.faults.kinds import KAFKA, STATE
from sandbox.fleet import environment as fleet_environment
from sandbox.services.standins.controls import Control
from schemas.publish import CancelRequested, RequestReference
from tests.torture.judge.evidence import Acted, Evidence
from tests.torture.judge.state_order import AT_REST
from tests.torture.script.script import (
    SEEDS,
    Arm,
    Ask,
    Cut,
    Do,
    Event,
    Kill,
    Outage,
    Say,
    Script,
    Stop,
    When,
)
from tests.torture.stand.approvers import Approvers
from tests.torture.stand.gatherer import Gatherer
from tests.torture.stand.operator_acts import Operator
from tests.torture.stand.outages import Outages
from tests.torture.stand.requests import Requests
from tests.torture.stand.speakers import Speakers
from tests.torture.stand.stand import LEASE, Stand

SOURCE = "/sandbox"
SETTLED_WITHIN = 300.0
_FAULTS_WITHIN = 20.0
"""Seconds after the last event in which armed faults may still hit."""
_NOT_AT_ALL = 30.0
"""Seconds after which an event that waits for its moment is left out; sooner, if the moment can't come any more."""
_BY_THEMSELVES = STATE | KAFKA - {FaultKind.KAFKA_DUPLICATE_DELIVERY}
"""Faults that a daemon meets even without a request."""
_SILENT = Control(fail="nobody reads this", fail_after_rows=1, exits_zero=True, hides_error=True)
"""What a seed does that leaves all but its first table empty, and says nothing of it."""
_LOOK_EVERY = 0.02
_ASK_EVERY = 0.15
_AGAIN_AFTER = 0.2
_LOOK_AT_UNKNOWN_EVERY = 1.0


class Round:
    """One script, which is played once."""

    def __init__(
        self, stand: Stand, gatherer: Gatherer, script: Script, *, within: float = SETTLED_WITHIN
    ) -> None:
        """`within`: the seconds after the last event in which everything has to come to rest."""
        self._within = within
        self._stand = stand
        self._platform = stand.platform
        self._gatherer = gatherer
        self._script = script
        self._operator = Operator(stand.post, script.again)
        self._approvers = Approvers(stand.post)
        self._speakers = Speakers(stand.post, stand.get, gatherer.production())
        self._outages = Outages(stand.platform)
        self._requests = Requests(stand)
        self._looked_at_people = 0.0
        self._late: dict[int, float] = {}
        self._begun = 0.0
        self._looked_at_unknown = 0.0

    def play(self) -> Evidence:
        """Play the script; returns what every witness saw."""
        self._speakers.withdraw_former()
        self._gatherer.begin(self._repositories())
        self._set_the_scene()
        self._run_events()
        self._platform.clear_controls()
        self._pace(self._script.slow)
        self._let_faults_hit()
        self._pace(0.02)
        stuck = self._settle()
        return self._gatherer.gather(
            self._requests.asked,
            [*self._operator.acted, *self._approvers.acted],
            self._requests.resets,
            stuck,
            words=self._speakers.words,
            outages=self._outages.outages,
            plans_seen=self._requests.plans,
        )

    # -- the events -----------------------------------------------------------------------------------------------
    def _set_the_scene(self) -> None:
        self._push(self._repositories(), self._script.seed)
        self._pace(self._script.slow)
        for environment, service in self._script.failing:
            self._platform.control(
                environment, service, **{SEEDS[service]: Control(fail="torture: not this time")}
            )

    def _push(self, repositories: Sequence[str], text: str) -> None:
        """Push a commit to each repository, for a reset to take back."""
        for repository in repositories:
            head = asyncio.run(self._platform.github.push(repository, {"flow.json": text}, message=text))
            self._gatherer.pushed(repository, head)

    def _pace(self, seconds: float) -> None:
        for environment in {ask.environment for ask in self._script.asks}:
            for service, seed in SEEDS.items():
                names = {seed, "seed:reset", "seed:mock"}
                self._platform.control(environment, service, **dict.fromkeys(names, Control(seconds=seconds)))
        for environment, service in self._script.silent:
            self._platform.control(environment, service, **{SEEDS[service]: _SILENT})

    def _repositories(self) -> list[str]:
        return _repositories(self._script.asks)

    def _run_events(self) -> None:
        begun = self._begun = time.monotonic()
        pending: list[tuple[float, Event]] = [(event.at, event) for event in self._script.events]
        until = begun + max((at for at, _ in pending), default=0.0) + SETTLED_WITHIN
        while (pending or self._stand.asleep) and time.monotonic() < until:
            self._attend()
            self._look_at_unknown()
            now = time.monotonic() - begun
            due = [(at, event) for at, event in pending if at <= now]
            pending = [waiting for waiting in pending if waiting not in due]
            for _, event in due:
                if not self._happen(event):
                    pending.append((now + _AGAIN_AFTER, event))
            if due and self._wait_in_vain([event for _, event in pending], now):
                pending = []
            time.sleep(_LOOK_EVERY)

    def _wait_in_vain(self, pending: Sequence[Event], now: float) -> bool:
        """Whether all pending events wait for moments that can't come: every reset is at rest, and no daemon sleeps."""
        wait = all(
            event.at <= now
            and (isinstance(event, Stop | Cut) or (isinstance(event, Do) and event.when is not None))
            for event in pending
        )
        return wait and bool(pending) and not self._stand.asleep and self._at_rest()

    def _at_rest(self) -> bool:
        """Whether every request has led to a reset, and every reset is at rest."""
        with contextlib.suppress(httpx.HTTPError):
            return not any(self._requests.moving())
        return False

    def _is_quiet(self) -> bool:
        """Whether every reset is at rest, no command runs, and the operator has nothing left to do."""
        with contextlib.suppress(httpx.HTTPError):
            return not any(self._restless())
        return False

    def _attend(self) -> None:
        """Wake and start daemons in their time, and let people say what is due."""
        self._attend_to_daemons()
        self._speakers.withdraw()
        if time.monotonic() - self._looked_at_people < _ASK_EVERY:
            return
        self._looked_at_people = time.monotonic()
        with contextlib.suppress(httpx.HTTPError):
            if self._requests.waits_for_people():
                list(self._requests.moving())
            for identifier, reset in self._requests.resets.items():
                requesters = self._requests.requesters(identifier)
                self._approvers.see(reset, self._requests.name(identifier), requesters)
        self._approvers.answer()

    def _attend_to_daemons(self) -> None:
        self._stand.look()
        for number, since in list(self._stand.asleep.items()):
            if time.monotonic() - since > LEASE + self._late.get(number, 0.5):
                self._stand.wake(number)

    def _look_at_unknown(self) -> None:
        """Look now and then at attempts that are called unknown: their containers may go, and their outcomes change."""
        if time.monotonic() - self._looked_at_unknown < _LOOK_AT_UNKNOWN_EVERY:
            return
        self._looked_at_unknown = time.monotonic()
        with contextlib.suppress(httpx.HTTPError):
            list(self._requests.moving())
            for reset in self._requests.resets.values():
                self._gatherer.look_at_unknown(reset)

    def _happen(self, event: Event) -> bool:
        """Let an event happen; False when it has to be tried again a little later."""
        # A record may have reached a broker that went down; the event is published again, under the same id.
        with contextlib.suppress(httpx.HTTPError, UndeliveredError):
            if isinstance(event, Kill | Stop):
                return self._kill_or_stop(event)
            if isinstance(event, Cut):
                if not any(self._running()):
                    return self._is_too_late()
                asyncio.run(self._platform.cluster.cut_streams())
            elif isinstance(event, Outage):
                self._outages.begin(event)
            elif isinstance(event, Say):
                self._speakers.say(event)
            elif isinstance(event, Arm):
                asyncio.run(self._platform.faults.arm(event.fault))
            elif isinstance(event, Do):
                return self._do(event)
            else:
                self._requests.ask(event)
            return True
        return False

    def _kill_or_stop(self, event: Kill | Stop) -> bool:
        number = self._stand.driving() if event.daemon is None else event.daemon
        if number is None:
            return self._is_too_late()
        if isinstance(event, Stop):
            self._late[number] = event.late
            self._stand.stop(number)
        else:
            self._stand.kill(number, event.mishap, stay_down=event.stay_down)
        return True

    def _do(self, event: Do) -> bool:
        """Act on the reset of a request; False while the reset is missing. A refused act has happened, too."""
        if event.when is not None and not self._is_moment(event.when):
            return self._is_too_late()
        asked = next((made for made in self._requests.asked if made.tag == event.tag), None)
        if asked is None:
            return not any(ask.tag == event.tag and ask.http for ask in self._script.asks)
        if event.http:
            found = self._requests.find(asked)
            if found is None:
                return False
            self._operator.act(found["id"], event.act, reason="torture: no more")
            return True
        by = {"requested_by": "torture", "reason": "torture: no more", "environment": asked.environment}
        if asked.reset_id is not None:
            cancel = CancelRequested(reset_id=asked.reset_id, **by)
        else:
            cancel = CancelRequested(request=RequestReference(source=SOURCE, id=asked.tag), **by)
        at = time.time()
        self._stand.publisher.publish(cancel)
        found = self._requests.find(asked)
        if found is not None:
            self._operator.acted.append(Acted(at, found["id"], event.act))
        return True

    def _is_too_late(self) -> bool:
        """Whether an event that still waits for its moment is left out of this round."""
        return time.monotonic() - self._begun > _NOT_AT_ALL

    def _is_moment(self, when: When) -> bool:
        match when:
            case When.ASLEEP:
                return bool(self._stand.asleep)
            case When.LATE:
                return self._platform.faults.lasts(FaultKind.EXEC_BEGINS_LATE)

    def _let_faults_hit(self) -> None:
        """Wait until all armed faults have hit, or time is over; then heal the platform.

        While everything is at rest, the operator attends to resets that stopped, and more requests are made.
        """
        if self._script.faults:
            self._wait_for_faults()
        if self._outages.outages or self._script.faults:
            self._heal()

    def _heal(self) -> None:
        environments = {ask.environment for ask in self._script.asks}
        environments |= {out.environment for out in self._outages.outages}
        asyncio.run(self._platform.faults.clear())
        self._outages.end()
        asyncio.run(self._platform.cluster.until_ready(sorted(environments), within=SETTLED_WITHIN))

    def _wait_for_faults(self) -> None:
        more = [*self._script.more]
        until = time.monotonic() + _FAULTS_WITHIN
        while time.monotonic() < until and (armed := self._platform.faults.armed()):
            self._attend()
            self._look_at_unknown()
            places = {fault.environment for fault in armed if fault.kind not in _BY_THEMSELVES}
            if places and self._is_quiet():
                ask = next((further for further in more if further.environment in places), None)
                if ask is None:
                    break
                more.remove(ask)
                self._push(_repositories([ask]), ask.tag)
                while not self._happen(ask) and time.monotonic() < until:
                    self._attend_to_daemons()
            time.sleep(_ASK_EVERY)

    # -- until it is quiet ----------------------------------------------------------------------------------------
    def _settle(self) -> Sequence[str]:
        """Wait until the round is quiet, as `_is_quiet` has it; returns what is not at rest when time is over."""
        until = time.monotonic() + self._within
        left: list[str] = ["not looked at"]
        next_look = 0.0
        while time.monotonic() < until:
            self._attend()
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + _ASK_EVERY
                with contextlib.suppress(httpx.HTTPError):
                    left = list(self._restless())
                    if not left and not self._stand.asleep:
                        return ()
            time.sleep(_LOOK_EVERY)
        return left

    def _restless(self) -> Iterator[str]:
        seen = self._gatherer.journal()
        yield from self._requests.moving()
        for identifier, reset in self._requests.resets.items():
            self._gatherer.look_at_unknown(reset)
            if reset["state"] in AT_REST and self._operator.attend(reset, seen):
                yield f"{identifier} is {reset['state']}, and was resumed or resolved"
        yield from self._running()

    def _running(self) -> Iterator[str]:
        """Describe each command of an attempt that runs."""
        for launch in self._gatherer.journal().outermost():
            if launch.attempt is not None and launch.running:
                yield f"#{launch.id} {launch.command} of {launch.attempt} runs"


def _repositories(asks: Sequence[Ask]) -> list[str]:
    return sorted({fleet_environment(ask.environment).workflows for ask in asks if ask.git})
