"""Whatever branches there are, none goes that anybody may need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.wire import ResetId
from statemachines.branch_retention import KeptBranch, branches_to_delete, made_by

NOW = datetime(2026, 11, 30, tzinfo=UTC)
BRANCHES = st.lists(
    st.builds(
        KeptBranch,
        reset_id=st.integers(0, 30).map(lambda number: ResetId(f"{number:04d}")),
        rewound=st.sampled_from([None, "main", "sandbox"]),
        made_at=st.sampled_from([None, "a", "b"]),
        commit=st.sampled_from(["a", "b"]),
        over=st.booleans(),
        dumped=st.booleans(),
        ended_at=st.integers(-5, 5).map(lambda days: NOW + timedelta(days=days)),
    ),
    unique_by=lambda branch: branch.reset_id,
)


@given(BRANCHES)
def test_what_goes_is_over_old_without_a_dump_untouched_and_not_the_newest(kept: list[KeptBranch]) -> None:
    gone = branches_to_delete(kept, before=NOW)
    for each in gone:
        assert each.over
        assert not each.dumped
        assert each.ended_at < NOW
        assert each.made_at == each.commit
        assert any(other.rewound == each.rewound and other.reset_id > each.reset_id for other in kept)
    for rewound in {each.rewound for each in kept}:
        assert any(each.rewound == rewound and each not in gone for each in kept)


def test_only_a_name_with_a_whole_id_is_of_a_reset() -> None:
    name = "01999999-0000-7000-8000-000000000000"
    assert made_by(f"backup/{name}") == name
    assert [made_by(each) for each in ("backup/by-hand", name, f"backup/{name}/x", "backup/")] == [None] * 4
