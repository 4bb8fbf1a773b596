"""What a catalog or a setting asks for and nothing acts on: refused by name, and never half believed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from daemon.config.catalog_file import CatalogError, load_catalog, parse_catalog
from daemon.config.settings import load
from daemon.config.without_effect import warn_of_what_has_no_effect
from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState
from statemachines.planning.without_effect import fields_without_effect, refuse_without_effect
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

SHIPPED = load_catalog().catalog.model_dump(mode="json", by_alias=True, exclude_defaults=True)
ASKED = {
    "schedules": [{"name": "nightly", "environment": "qa-sandbox", "schedule": "0 1 * * *"}],
    "notifications": [{"url": "https://hooks.example.com/x", "secretFile": "/run/secrets/hook"}],
}


def asking(field: str) -> str:
    return yaml.safe_dump({**SHIPPED, field: ASKED[field]})


def test_the_shipped_catalog_asks_for_nothing_that_nothing_acts_on() -> None:
    assert fields_without_effect(load_catalog().catalog) == ()


@pytest.mark.parametrize("field", ASKED)
def test_catalog_check_refuses_each_by_name(field: str, tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(asking(field))
    asked = [sys.executable, "-m", "daemon", "catalog", "check", str(file)]
    checked = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 2
    assert f"{file}: {field}" in checked.stderr
    assert "nothing acts on it" in checked.stderr


@pytest.mark.parametrize("field", ASKED)
def test_serve_warns_of_each_by_name(field: str) -> None:
    with capture_logs() as logs:
        warn_of_what_has_no_effect(load(), parse_catalog(asking(field), "my.yaml").catalog)
    (warning,) = logs
    assert (warning["event"], warning["log_level"]) == ("catalog.without-effect", "warning")
    assert warning["field"].startswith(field)


def test_a_refusal_names_all_of_them() -> None:
    refusal = refuse_without_effect(["windows", "RESETD_OIDC_ISSUER"])
    assert refusal is not None
    assert refusal.reason is Reason.WITHOUT_EFFECT
    assert "windows, RESETD_OIDC_ISSUER" in refusal.detail
    assert refuse_without_effect([]) is None


def test_a_new_reset_is_refused_and_one_that_has_a_plan_goes_on() -> None:
    async def broken(_process: Process) -> int:
        return 1

    async def scenario() -> None:
        engine = Engine(catalog(), work=broken)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.FAILED
        engine.programs.clear()
        engine.asks_for("RESETD_OIDC_ISSUER")
        await engine.act(ActKind.RESUME, replan=True)
        assert (await engine.drive()).state is ResetState.DONE
        late = Engine(catalog(), without_effect=["RESETD_OIDC_ISSUER"])
        await late.ask()
        reset = await late.drive()
        assert (reset.state, reset.cause) == (ResetState.REJECTED, Reason.WITHOUT_EFFECT)
        assert "RESETD_OIDC_ISSUER" in (reset.detail or "")

    run(scenario())


@pytest.mark.parametrize(
    ("mode", "first", "second"), [("wipe", "seed", "migrate"), ("refresh", "seed", "migrate")]
)
def test_steps_that_are_listed_against_their_order_are_refused(mode: str, first: str, second: str) -> None:
    services = [dict(service) for service in SHIPPED["services"]]
    steps = [
        {"name": "one", "phase": first, "argv": ["a"], "idempotent": "safe"},
        {"name": "two", "phase": second, "argv": ["b"], "idempotent": "safe"},
    ]
    services[0] = {**services[0], "steps": {**services[0]["steps"], mode: steps}}
    with pytest.raises(CatalogError) as caught:
        parse_catalog(yaml.safe_dump({**SHIPPED, "services": services}), "my.yaml")
    assert "two of phase migrate runs before one" in str(caught.value)
