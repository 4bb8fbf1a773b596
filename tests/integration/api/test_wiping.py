"""Who agrees to a wipe of what is protected has to type the environment's name."""

from __future__ import annotations

from tests.integration.api.stand import Stand
from tests.integration.api.test_command_line import CommandLine, resetd

__all__ = ["resetd"]
NAME = "los-demo-production"


async def test_a_wipe_of_what_is_protected_is_approved_with_the_environments_name_typed(
    resetd: CommandLine,
) -> None:
    stand: Stand = resetd.stand
    asked = await stand.asked(environment=NAME, serviceModes={"ui-builder-api": "wipe"})
    waiting = await stand.until(asked, "awaiting-approval")
    path, body = f"/resets/{asked['id']}/approve", {"planHash": waiting["planHash"]}
    async with stand.client("ben") as ben:
        refused = await ben.post(path, json=body)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/confirm")
    words = ("approve", asked["id"], "--plan-hash", waiting["planHash"])
    untyped = await resetd.run(*words, person="ben")
    assert (untyped.code, NAME in untyped.err) == (2, True)
    misspelt = await resetd.run(*words, "--confirm", "qa-sandbox", person="ben")
    assert misspelt.code == 2
    typed = await resetd.run(*words, "--confirm", NAME, person="ben")
    assert typed.code == 0, typed.err
