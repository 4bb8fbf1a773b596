"""A consent counts while its giver may still give it, in every environment that the plan asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from daemon.engine.consents import Consents
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Channel
from tests.integration.api.stand import Stand, running

PRODUCTION = "los-demo-production"


async def approve(stand: Stand, person: str, reset: dict[str, Any]) -> int:
    async with stand.client(person) as client:
        body = {"planHash": reset["planHash"]}
        return (await client.post(f"/resets/{reset['id']}/approve", json=body)).status_code


def rights(directory: Path, subject: str, *environments: str) -> None:
    """What a person may be an approver for from now on; nothing: their token is taken out."""
    file = directory / "tokens.yaml"
    known = [one for one in yaml.safe_load(file.read_text()) if one["subject"] != subject or environments]
    for one in known:
        if one["subject"] == subject:
            one["environments"] = list(environments)
    file.write_text(yaml.safe_dump(known))


async def test_d1_an_approval_of_somebody_whose_token_was_taken_out_destroys_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as stand:
        stand.deployments.closed[PRODUCTION] = "OutOfSync"
        reset = await stand.asked("ana", environment=PRODUCTION)
        waiting = await stand.until(reset, "awaiting-approval")
        assert await approve(stand, "ben", waiting) == 202
        await stand.until(reset, "queued")
        rights(tmp_path, "ben")
        before = len(stand.pods.launched)
        stand.deployments.closed.clear()
        again = await stand.until(reset, "awaiting-approval")
        assert (again["cause"], again["approvals"]["given"]) == ("consent-void", [])
        assert "ben" in again["detail"]
        assert PRODUCTION in again["detail"]
        assert len(stand.pods.launched) == before
        assert await approve(stand, "pat", again) == 202
        done = await stand.until(reset, "done", "failed")
        assert (done["state"], done["cause"]) == ("done", None)


async def test_d1_a_right_that_became_narrower_voids_an_approval_too_and_a_file_that_broke_does_not(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as stand:
        stand.deployments.closed[PRODUCTION] = "OutOfSync"
        reset = await stand.asked("ana", environment=PRODUCTION)
        waiting = await stand.until(reset, "awaiting-approval")
        assert await approve(stand, "ben", waiting) == 202
        await stand.until(reset, "queued")
        file = tmp_path / "tokens.yaml"
        whole = file.read_text()
        file.write_text("- [")
        stand.deployments.closed.clear()
        assert (await stand.until(reset, "done", "failed", "awaiting-approval"))["state"] == "done"
        file.write_text(whole)
        stand.deployments.closed[PRODUCTION] = "OutOfSync"
        other = await stand.asked("ana", environment=PRODUCTION)
        waiting = await stand.until(other, "awaiting-approval")
        assert await approve(stand, "ben", waiting) == 202
        await stand.until(other, "queued")
        rights(tmp_path, "ben", "*-sandbox")
        stand.deployments.closed.clear()
        assert (await stand.until(other, "awaiting-approval", "done"))["cause"] == "consent-void"


async def test_d1_the_lease_holder_looks_at_the_right_once_more_when_it_reads_a_consent(
    tmp_path: Path,
) -> None:
    """Between a call and its reading a plan may be another one: what learned checks found is bound to no plan."""
    async with running(tmp_path) as stand:
        reset = await stand.asked("ana", environment=PRODUCTION)
        await stand.until(reset, "awaiting-approval")
        kept = await stand.context.store.find(reset["id"])
        plan = await stand.context.store.plan(reset["id"])
        assert kept is not None
        assert isinstance(plan, Plan)
        consents = Consents(_Only({"ben": ("qa-sandbox", PRODUCTION)}))
        for kind in (ActKind.APPROVE, ActKind.ACCEPT):
            for actor, allowed in (("ben", True), ("BEN ", True), ("oli", False)):
                act = Act(
                    reset_id=kept.id,
                    kind=kind,
                    actor=actor,
                    channel=Channel.HTTP,
                    check_name="learned.core",
                    plan_hash=plan.hash,
                    at=kept.created_at,
                )
                refused = consents.refusal(act, kept, plan)
                assert (refused is None) is allowed
                assert refused is None or refused.reason is Reason.FORBIDDEN


class _Only:
    """Implements `daemon.ports.approvers.Approvers` by a table."""

    def __init__(self, rights: dict[str, tuple[str, ...]]) -> None:
        self._rights = rights

    def of(self, environments: Any) -> frozenset[str]:  # noqa: ANN401 - as the port has it
        return frozenset(who for who, where in self._rights.items() if set(environments) <= set(where))
