"""Whole resets with the real tools, beside the same commands typed with kubectl: what the care costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.services import contents
from tests.e2e.cluster import RealCluster
from tests.e2e.figures import Kubectl, Spent, spent
from tests.e2e.services import RealServices, catalog
from tests.integration.by_hand.cases import REFRESH, SEED, WIPE
from tests.integration.by_hand.stage import Case, Typed
from tests.integration.people.asking import ENVIRONMENT, ask
from tests.integration.stand.harness import Harness, running
from tests.integration.stand.waiting import wait_for

pytestmark = pytest.mark.e2e
Figures = Callable[[str, object], None]
WITHIN = 240.0
REVERT = ("workflow-api", "npm run db:revert-migration")


def as_here(typed: Typed, *, without: tuple[str, str] | None = None) -> Typed:
    """What a person types for the real services: the guide's commands, with los-core's before data-builder's.

    The real workflow-api has two migrations, one less than the stand-in's, so that one revert is left out.
    """
    left = list(typed)
    if without is not None:
        left.remove(without)
    left.sort(key=lambda one: one != ("los-core-api", "npm run prisma:migrate:prod"))
    late = next(one for one in left if one[1] == "npm run db:seed:data-builder")
    core = [one for one in left if one[0] == "los-core-api" and one[1].startswith("npm run seed:")]
    left.remove(late)
    left.insert(left.index(core[-1]) + 1, late)
    return tuple(left)


TYPED = {
    "refresh": as_here(REFRESH.typed),
    "wipe": as_here(WIPE.typed, without=REVERT),
    "seed": as_here(SEED.typed),
}
CASES: dict[str, Case] = {"refresh": REFRESH, "wipe": WIPE, "seed": SEED}


@pytest.fixture(scope="module")
def migrated(services: RealServices, kubeconfig_of_services: str, real: RealCluster) -> RealServices:
    """The services, migrated and seeded by hand."""
    assert kubeconfig_of_services
    Kubectl(real.kubeconfig, ENVIRONMENT).type(TYPED["refresh"])
    return services


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["refresh", "wipe", "seed"])
def test_a_reset_leaves_what_the_same_commands_leave_that_are_typed(
    migrated: RealServices,
    real: RealCluster,
    kubeconfig_of_services: str,
    tmp_path: Path,
    mode: str,
    record_property: Figures,
) -> None:
    typed = TYPED[mode]
    by_hand = Kubectl(real.kubeconfig, ENVIRONMENT).type(typed)
    expected = read(migrated)
    settings = {"RESETD_KUBECONFIG": kubeconfig_of_services, "RESETD_CATALOG": str(catalog(tmp_path))}
    with running(migrated.platform, tmp_path / "daemon", settings=settings) as harness:
        options = [one.value for one in CASES[mode].fields.get("options", ())]
        reference = ask(harness, mode=mode, **({"options": options} if options else {}))
        reset = finished(harness, reference)
        assert reset["state"] == "done", reset
        seen = spent(reset, harness.daemon.get(f"/api/v1/resets/{reference}/events"))
    assert read(migrated) == expected
    launched = [one["step"] for one in reset["attempts"] if one["control"]]
    assert len(launched) == len(typed), launched
    for name, value in told(mode, by_hand, seen).items():
        record_property(name, value)


def finished(harness: Harness, reference: str) -> dict[str, Any]:
    """The reset once it rests, looked for seldom: who looks all the time takes the processor from what is measured."""
    resting = {"done", "failed", "needs-operator", "cancelled", "rejected"}

    def look() -> dict[str, Any] | None:
        found = harness.reset(reference)
        return found if found["state"] in resting else None

    return wait_for(look, f"{reference} rests", within=WITHIN, every=0.5)


def read(services: RealServices) -> dict[str, contents.Contents]:
    """What is in the databases, by name."""
    return services.platform.contents(ENVIRONMENT)


def told(mode: str, by_hand: dict[tuple[str, str], float], seen: Spent) -> dict[str, str]:
    """The figures of one mode, a line each."""
    hand = sum(by_hand.values())
    lines = {
        mode: f"by hand {hand:.1f} s, resetd {seen.whole:.1f} s, {seen.whole / hand:.2f} times",
        f"{mode}, steps": ", ".join(f"{kind} {each:.1f}" for kind, each in seen.kinds.items()),
        f"{mode}, states": ", ".join(
            f"{state} {each:.1f}" for state, each in seen.states.items() if each >= 0.05
        ),
    }
    typed = iter(by_hand.items())
    lines[f"{mode}, typed"] = ", ".join(f"{service}: {text} {each:.1f}" for (service, text), each in typed)
    lines[f"{mode}, run"] = ", ".join(f"{step} {each:.1f}" for step, each in seen.commands.items())
    return lines
