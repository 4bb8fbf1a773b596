"""A branch goes back to the commit that people agreed to, and to no other one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from schemas.catalog.catalog import Repository
from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState
from tests.memory.processes import Process
from tests.memory.repositories import MemoryRepository
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

NAME = "qa-workflows"


def engine_with(*, meanwhile: Callable[[], object], expected: str | None = None) -> Engine:
    """An engine whose command does something to the repository between the plan and the rewinding."""
    declared = Repository(pattern="{client}-workflows", expected_root=expected)
    loaded = catalog()
    whole = loaded.catalog.model_copy(update={"repositories": (declared,)})

    async def work(process: Process) -> int:  # noqa: ARG001 - as every program
        meanwhile()
        return 0

    return Engine(replace(loaded, catalog=whole), work=work)


def rewritten(repository: MemoryRepository) -> None:
    """Somebody forces another history onto the branch."""
    del repository.refs["main"]
    repository.push("main")


def test_a_history_that_is_replaced_between_plan_and_rewinding_is_not_rewound_until_people_see_it() -> None:
    async def scenario() -> None:
        engine = engine_with(meanwhile=lambda: rewritten(repository))
        repository = engine.repositories.make(NAME)
        repository.push("main")
        await engine.ask(git=True)
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.REPOSITORY_ROOT_CHANGED)
        assert list(repository.refs) == ["main"]
        engine.programs.clear()
        await engine.act(ActKind.RESUME, replan=True)
        assert (await engine.drive()).state is ResetState.DONE
        assert f"backup/{engine.id}" in repository.refs

    run(scenario())


def test_a_second_root_that_is_merged_between_plan_and_rewinding_is_not_rewound() -> None:
    async def scenario() -> None:
        def merge() -> None:
            repository.push("unrelated")
            repository.push("main", merging="unrelated")

        engine = engine_with(meanwhile=merge)
        repository = engine.repositories.make(NAME)
        repository.push("main")
        await engine.ask(git=True)
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.REPOSITORY_ROOT_CHANGED)

    run(scenario())


def test_of_two_roots_the_catalogs_is_gone_back_to() -> None:
    async def scenario() -> None:
        repository = MemoryRepository("fuse", NAME)
        meant = repository.push("main")
        repository.push("unrelated")
        repository.push("main", merging="unrelated")
        engine = engine_with(meanwhile=lambda: None, expected=meant)
        made = engine.repositories.make(NAME)
        made.refs, made.parents = repository.refs, repository.parents
        await engine.ask(git=True)
        assert (await engine.drive()).state is ResetState.DONE
        assert made.refs["main"] == meant

    run(scenario())


def test_of_two_roots_the_rewinding_whose_answer_was_lost_is_found_and_not_taken_for_another_history() -> (
    None
):
    async def scenario() -> None:
        engine = engine_with(meanwhile=lambda: None, expected=_first_root())
        repository = engine.repositories.make(NAME)
        repository.push("main")
        repository.push("unrelated")
        head = repository.push("main", merging="unrelated")
        engine.repositories.lose_answers = 1
        await engine.ask(git=True)
        assert (await engine.drive()).state is ResetState.DONE
        assert repository.refs["main"] == _first_root()
        assert repository.refs[f"backup/{engine.id}"] == head

    run(scenario())


def _first_root() -> str:
    """The first commit of a repository in memory: its id follows from the name."""
    return MemoryRepository("fuse", NAME).push("main")
