"""What is learned of steps is stored with the commit that takes it, whole or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.ports.errors import LeaseLostError
from daemon.ports.store.leases import Change
from daemon.ports.store.store import Store
from schemas.learned import Learned, LearnedKey
from schemas.requests import Option
from schemas.resets import Reset
from schemas.wire import StepName
from tests.contract.store.making import ENVIRONMENT, NOW, begun

KEY = LearnedKey(
    environment=ENVIRONMENT,
    step=StepName("seed.app.work"),
    check="learned.app",
    options=(Option.MOCK,),
    integrations=("crm",),
    image="sha256:one",
)


def learned(reset: Reset, key: LearnedKey = KEY, *tables: str) -> Learned:
    return Learned(key=key, tables=tables, reset_id=reset.id, at=NOW)


async def test_what_is_learned_replaces_what_was_under_its_key_and_is_of_one_environment(
    store: Store,
) -> None:
    found = await begun(store)
    reset = found.reset
    other = KEY.model_copy(update={"image": "sha256:two"})
    elsewhere = KEY.model_copy(update={"environment": "los-demo-sandbox"})
    first = Change(
        reset=found.reset,
        lease=found.lease,
        learned=(
            learned(reset, KEY, "public.a", "public.b"),
            learned(reset, other, "public.a"),
            learned(reset, elsewhere),
        ),
    )
    stored = await store.save(first)
    assert await store.learned(ENVIRONMENT) == first.learned[:2]
    assert await store.learned("los-demo-sandbox") == first.learned[2:]
    again = learned(reset, KEY, "public.a")
    stored = await store.save(replace(first, reset=stored, learned=(again,)))
    assert set(await store.learned(ENVIRONMENT)) == {again, first.learned[1]}
    await store.save(replace(first, reset=stored, learned=(), forgotten=(other,)))
    assert await store.learned(ENVIRONMENT) == (again,)


async def test_nothing_is_learned_from_who_lost_the_lease(store: Store) -> None:
    found = await begun(store)
    reset = found.reset
    lost = replace(found.lease, fence=found.lease.fence + 1)
    with pytest.raises(LeaseLostError):
        await store.save(Change(reset=found.reset, lease=lost, learned=(learned(reset, KEY, "public.a"),)))
    assert await store.learned(ENVIRONMENT) == ()
