"""`twice` finds each way of launching twice, and nothing in a history without one."""

from __future__ import annotations

import pytest

from sandbox.journal import Journal, Launch, Marker, twice


def _launch(  # a record as the witness writes it, of which a test says what matters
    number: int,
    attempt: str | None,
    began: float,
    ended: float | None,
    *,
    depth: int = 1,
    namespace: str = "qa-sandbox",
) -> Launch:
    return Launch(
        id=number,
        namespace=namespace,
        pod="pod",
        container_id="containerd://1",
        service="los-core-api",
        argv=("npm", "run", "seed:system"),
        cwd="/app",
        attempt=attempt,
        start_script=False,
        pid=number,
        host_pid=number,
        depth=depth,
        parent=None,
        started=began,
        started_at=began,
        ended=ended,
        ended_at=ended,
    )


def _rules(*launches: Launch, never: tuple[str, ...] = ()) -> list[str]:
    return [finding.rule for finding in twice(Journal(launches), never)]


def test_attempts_one_after_another_are_fine_and_nested_commands_count_as_one() -> None:
    assert not _rules(
        _launch(1, "r/seed/1", 0, 2),
        _launch(2, "r/seed/1", 1, 2, depth=2),
        _launch(3, "r/seed/2", 3, 4),
        _launch(4, "r/other/1", 3, 4),
        _launch(5, None, 0, 9),
        _launch(6, None, 0, 9),
    )


def test_two_outermost_launches_of_one_attempt_are_found() -> None:
    assert _rules(_launch(1, "r/seed/1", 0, 1), _launch(2, "r/seed/1", 5, 6)) == ["same-attempt"]


def test_attempts_of_one_step_at_the_same_time_are_found() -> None:
    assert _rules(_launch(1, "r/seed/1", 0, 2), _launch(2, "r/seed/2", 1, 3)) == ["overlap"]
    assert _rules(_launch(1, "r/seed/1", 0, None), _launch(2, "r/seed/2", 9, 10)) == ["overlap"]


def test_a_child_that_outlived_its_killed_wrapper_overlaps_with_the_next_attempt() -> None:
    wrapper, child = _launch(1, "r/seed/1", 0, 1), _launch(2, "r/seed/1", 0.5, 9, depth=2)
    assert _rules(wrapper, child, _launch(3, "r/seed/2", 5, 6)) == ["overlap"]


def test_two_resets_that_run_one_step_of_an_environment_at_once_are_found() -> None:
    assert _rules(_launch(1, "a/seed/1", 0, 2), _launch(2, "b/seed/1", 1, 3)) == ["overlap"]
    elsewhere = _launch(2, "b/seed/1", 1, 3, namespace="acme-sandbox")
    assert not _rules(_launch(1, "a/seed/1", 0, 2), elsewhere)


def test_a_retry_that_the_class_forbids_is_found() -> None:
    launches = (_launch(1, "r/wipe/1", 0, 1), _launch(2, "r/wipe/2", 2, 3))
    assert not _rules(*launches)
    assert _rules(*launches, never=("wipe",)) == ["forbidden-retry"]
    assert not _rules(_launch(1, "a/wipe/1", 0, 1), _launch(2, "b/wipe/1", 2, 3), never=("wipe",))


def test_a_marker_says_reset_step_and_number() -> None:
    assert Marker.parse("0199-x/seed.los-core-api.system/12") == ("0199-x", "seed.los-core-api.system", 12)
    for text in ("", "r", "r/1", "r/s/x"):
        with pytest.raises(ValueError, match=r"marker|invalid literal"):
            Marker.parse(text)
