from __future__ import annotations

import pytest

from schemas.reasons import Reason
from statemachines.hints import hint_for


@pytest.mark.parametrize("cause", list(Reason))
def test_every_cause_has_a_next_step_without_a_placeholder_left(cause: Reason) -> None:
    hint = hint_for(cause, "qa-sandbox")
    assert "{" not in hint
    assert "qa-sandbox" in hint or "resetd" in hint


def test_a_missing_pod_is_looked_for_as_the_guide_says() -> None:
    hint = hint_for(Reason.POD_NOT_FOUND, "qa-sandbox")
    assert "kubectl get pods -n qa-sandbox" in hint
    assert "kubectl get deployments -n qa-sandbox" in hint
    assert "argocd app get qa-sandbox" in hint
