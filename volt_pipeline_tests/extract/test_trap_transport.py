"""Answers that are lost, torn or refused on their way, and documents that are too much for Volt."""

from __future__ import annotations

import pytest

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import TransientError, VoltError
from volt_pipeline.api.pacing import Clock
from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.disturbances import Disturbance
from volt_pipeline.sandbox.faults import Asked
from volt_pipeline.sync import first_cause, sync
from volt_pipeline_tests.extract.trapping import Trap

ONCE: dict[str, Disturbance] = {
    "500": disturbances.http_error(500),
    "503, retry": disturbances.http_error(503, retry_after="0"),
    "502 page": disturbances.bad_gateway(),
    "200 page": disturbances.html(),
    "429": disturbances.too_many_requests(0.01),
    "429, no word": disturbances.too_many_requests(),
    "rate limited": disturbances.rate_limited(),
    "graphql error": disturbances.graphql_error("Something broke", "INTERNAL_SERVER_ERROR"),
    "half json": disturbances.half_json(),
    "empty body": disturbances.empty_body(),
    "null data": disturbances.null_data(),
    "not an object": disturbances.not_an_object(),
    "cut": disturbances.cut(),
    "reset": disturbances.reset(),
    "stall": disturbances.stall(0.05),
    "drip": disturbances.drip(0.05),
}


@pytest.mark.parametrize("disturbance", ONCE.values(), ids=ONCE)
async def test_each_disturbance_once_in_every_kind_of_request_is_survived(trap: Trap, disturbance: Disturbance) -> None:
    world = trap.begin(contacts=3, conversation_page=9)
    world.move(1.0, world.clock())
    await trap.sync()
    world.hear(world.contacts[0], "News")
    world.settle(world.clock())
    trap.age(25)
    troubles = [
        trap.faults.disturb(disturbance, times=1, when=lambda asked, name=name: asked.operation == name)  # type: ignore[misc]
        for name in ("inbox", "conversation", "message", "contact", "wave", "list", "webhooks")
    ]
    await trap.sync()
    assert all(trouble.hits <= 1 for trouble in troubles)
    assert sum(trouble.hits for trouble in troubles) >= 4
    assert (trap.rejects, trap.gaps, trap.outcome) == ([], [], "succeeded")
    assert trap.missing() == set()
    trap.assert_whole()


async def failed_sync(trap: Trap) -> BaseException:
    """A sync by a client of little patience."""
    clock = Clock(random=lambda: 0.05)
    phones = [account.primary_phone for account in trap.world.accounts]
    async with VoltClient(
        trap.sandbox.url, trap.sandbox.token, clock=clock, timeout=0.5, deadline=1.0, unreachable_after=0.5
    ) as volt:
        with pytest.raises(BaseException) as caught:  # noqa: PT011
            await sync(volt, trap.url, phones, run_id="impatient")
    return first_cause(caught.value)


@pytest.mark.parametrize("name", ["reset", "429"])
@pytest.mark.parametrize("of", ["everything", "conversation"])
async def test_a_lasting_outage_fails_and_the_next_sync_completes(trap: Trap, name: str, of: str) -> None:
    trap.begin(contacts=3)

    def when(asked: Asked) -> bool:
        return of in ("everything", asked.operation)

    trap.faults.disturb(ONCE[name], when=when)
    error = await failed_sync(trap)
    assert isinstance(error, VoltError)
    assert str(error)
    if of != "everything":
        assert trap.outcome == "failed"
        assert trap.held("contacts")
    await trap.heal(1, hours=0)


async def test_an_outage_that_begins_in_the_middle_loses_nothing(trap: Trap) -> None:
    trap.begin(contacts=4, conversation_page=4)
    begun = []

    def when(asked: Asked) -> bool:
        begun.append(asked.operation)
        return begun.count("conversation") > 2

    trap.faults.disturb(ONCE["reset"], when=when)
    assert isinstance(await failed_sync(trap), TransientError)
    assert trap.held("messages")
    await trap.heal(1, hours=0)


@pytest.mark.parametrize("most", [1, 3])
async def test_documents_that_are_too_complex_are_asked_in_parts(trap: Trap, most: int) -> None:
    trap.faults.max_root_fields = most
    await trap.sync()
    trap.assert_whole()
    assert max(len(recorded.root_fields) for recorded in trap.sandbox.requests if recorded.status == 200) > most


async def test_repeated_roots_may_be_refused(trap: Trap) -> None:
    trap.faults.refuse_repeated_roots = True
    await trap.sync()
    trap.assert_whole()


async def test_one_conversation_that_stalls_costs_itself(trap: Trap) -> None:
    world = trap.begin(contacts=3)
    bad = world.contacts[1].phone_number
    trap.faults.disturb(disturbances.reset(), when=lambda asked: bad in asked.variables.values())
    clock = Clock(random=lambda: 0.05)
    async with VoltClient(trap.sandbox.url, trap.sandbox.token, clock=clock, timeout=0.5, deadline=1.0) as volt:
        await sync(volt, trap.url, [world.accounts[0].primary_phone], run_id="patient")
    assert [stream for stream, _, _ in trap.rejects] == ["conversations"]
    assert bad not in trap.rejects[0][2]
    assert trap.missing() == {key for _, key, _ in world.ledger.conversations[world.contacts[1].id]}
    await trap.heal(1, hours=0)
