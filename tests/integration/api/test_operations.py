from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from daemon.adapters.system.clock import SystemClock
from daemon.config.catalog_file import load_catalog
from daemon.ports.errors import PermanentError, TemporaryError
from daemon.publishing.outbox import BATCH_SIZE, Outbox
from schemas.catalog.operations import Schedule
from schemas.reasons import Reason
from schemas.records import Message
from tests.integration.api.stand import SECRET, Stand, running
from tests.memory.bus import MemoryBus, MemoryOutlet


async def test_health_metrics_and_problems_need_no_token(stand: Stand) -> None:
    async with stand.client(None) as client:
        for path in ("/livez", "/healthz", "/readyz", "/metrics", "/openapi.json", "/problems/self-approval"):
            answer = await client.get(f"http://resetd{path}")
            assert answer.status_code == 200, path
            assert SECRET not in answer.text
        figures = (await client.get("http://resetd/metrics")).text
        page = await client.get("http://resetd/problems/self-approval", headers={"Accept": "text/html"})
        nothing = await client.get("http://resetd/problems/no-such-code")
    assert 'resetd_resets{state="queued"} 0.0' in figures
    assert "Who asked for a reset can not approve it." in page.text
    assert (nothing.status_code, nothing.json()["code"]) == (404, "not-found")


async def test_resets_that_are_not_over_are_counted_by_state(stand: Stand) -> None:
    stand.deployments.closed["qa-sandbox"] = "OutOfSync"
    await stand.until(await stand.asked(), "queued")
    await stand.until(await stand.asked(environment="los-demo-production"), "awaiting-approval")
    async with stand.client(None) as client:
        figures = (await client.get("http://resetd/metrics")).text
    assert 'resetd_resets{state="queued"} 1.0' in figures
    assert 'resetd_resets{state="awaiting-approval"} 1.0' in figures
    assert 'resetd_resets{state="seeding"} 0.0' in figures


async def test_messages_that_wait_are_counted_also_while_the_broker_is_away(tmp_path: Path) -> None:
    bus = MemoryBus(max_message_bytes=10_000)
    async with running(tmp_path, at_work=False) as stand, stand.client(None) as client:
        outbox = Outbox(stand.store, MemoryOutlet(bus), SystemClock(), owner="test")
        bus.down = True
        await stand.asked()
        assert await _waiting(client) == 1
        for _ in range(BATCH_SIZE):
            stand.store.state.append_message(Message("status", b"qa-sandbox", b"{}", ()))
        stand.store.state.append_message(Message("status", b"qa-sandbox", b"x" * 20_000, ()))
        with pytest.raises(TemporaryError):
            await outbox.publish_once()
        assert await _waiting(client) == BATCH_SIZE + 2
        bus.down = False
        assert await outbox.publish_once() == BATCH_SIZE
        assert await _waiting(client) == 2
        assert await outbox.publish_once() == 2
        assert await _waiting(client) == 0, "what the broker refuses for good does not wait"


async def test_every_reason_has_a_page(stand: Stand) -> None:
    async with stand.client(None) as client:
        for reason in Reason:
            answer = await client.get(f"http://resetd/problems/{reason.value}")
            assert answer.json()["text"]


async def test_a_part_that_does_not_answer_makes_the_daemon_unready(stand: Stand) -> None:
    stand.context.closing.set()
    async with stand.client(None) as client:
        answer = await client.get("http://resetd/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"state": "ok", "mark": "ok", "daemon": "draining"}
        assert (await client.get("http://resetd/livez")).status_code == 200


async def test_a_configuration_that_asks_for_what_nothing_does_makes_it_degraded_and_not_unready(
    tmp_path: Path,
) -> None:
    nightly = Schedule(name="nightly", environment="qa-sandbox", schedule="0 2 * * *")
    catalog = load_catalog().catalog.model_copy(update={"schedules": (nightly,)})
    async with running(tmp_path, catalog=catalog) as stand, stand.client("ana") as client:
        answer = await client.get("http://resetd/readyz")
        planned = await client.post("/plans", json={"environment": "qa-sandbox"})
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "schedules" in answer.json()["checks"]["configuration"]
    assert planned.json()["code"] == "without-effect"


async def test_the_doctor_finds_nothing_wrong_where_all_is_well(stand: Stand) -> None:
    async with stand.client("ana") as client:
        report = (await client.post("/environments/qa-sandbox/doctor")).json()
    assert report["healthy"]
    checks = {(finding["check"], finding["subject"]) for finding in report["findings"]}
    assert {
        ("argocd", "qa-sandbox"),
        ("pods", "los-core-api"),
        ("deployments", "workflow-api"),
        ("logs", "ui-builder-api"),
        ("migrate-status", "los-core-api"),
        ("connection-core", "data-builder-api"),
        ("seed-list", "los-integrations"),
        ("migration-show", "workflow-api"),
    } <= checks


async def test_the_doctor_says_what_is_wrong_and_what_to_do_and_one_fault_hides_no_other(
    stand: Stand,
) -> None:
    stand.deployments.closed["qa-sandbox"] = "Degraded"
    stand.failing["migration:show"] = b"[ ] 12 AddColumn\n"
    stand.failing["seed:list"] = f"P1001 at postgresql://app:{SECRET}@db\n".encode()
    await stand.pods.remove(stand.services["qa-sandbox", "ui-builder-api"])
    async with stand.client("ana") as client:
        answer = await client.post("/environments/qa-sandbox/doctor")
    report = answer.json()
    found = {(finding["check"], finding["subject"]): finding for finding in report["findings"]}
    assert not report["healthy"]
    assert SECRET not in answer.text
    assert found["argocd", "qa-sandbox"]["level"] == "warning"
    assert found["pods", "ui-builder-api"]["level"] == "failed"
    assert found["deployments", "ui-builder-api"]["level"] == "failed"
    assert found["seed-list", "los-integrations"]["level"] == "failed"
    assert found["seed-list", "los-integrations"]["hint"]
    assert found["migration-show", "workflow-api"]["level"] == "failed"
    assert found["migrate-status", "los-core-api"]["level"] == "ok"


async def test_a_cluster_that_is_away_is_a_problem_to_try_again_and_a_forbidden_one_is_not(
    stand: Stand,
) -> None:
    async with stand.client("oli") as client:
        stand.pods.fail("environments", TemporaryError(Reason.KUBERNETES_UNREACHABLE, "no answer", delay=7))
        away = await client.get("/environments")
        stand.pods.fail("environments", PermanentError(Reason.KUBERNETES_FORBIDDEN, "list namespaces"))
        forbidden = await client.get("/environments")
    assert (away.status_code, away.json()["code"]) == (503, "kubernetes-unreachable")
    assert away.headers["Retry-After"] == "7"
    assert (forbidden.status_code, forbidden.json()["code"]) == (502, "kubernetes-forbidden")


async def test_a_mistake_of_our_own_says_nothing_of_the_inside(stand: Stand) -> None:
    await stand.context.store.close()
    object.__setattr__(stand.context, "tokens", None)
    async with stand.client("oli") as client:
        answer = await client.get("/resets")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "NoneType" not in answer.text


async def _waiting(client: httpx.AsyncClient) -> float:
    figures = (await client.get("http://resetd/metrics")).text
    [count] = [line.split()[1] for line in figures.splitlines() if line.startswith("resetd_outbox_messages ")]
    return float(count)
