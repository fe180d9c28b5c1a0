"""A sandbox that misbehaves: the field that spoils a page is found and left out, and a changed contract is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.drift import drift
from volt_pipeline.api.errors import ContractError, ServerError
from volt_pipeline.api.suspects import suspects
from volt_pipeline.sandbox.fault_drift import added, chained, removed, retyped
from volt_pipeline.sandbox.server import TOKEN, Sandbox, running
from volt_pipeline.sandbox.world import World

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running(World.create(seed=3, accounts=1, contacts=20, now=NOW)) as server:
        yield server


@pytest.fixture
async def volt(sandbox: Sandbox) -> AsyncIterator[VoltClient]:
    async with VoltClient(sandbox.url, TOKEN) as client:
        yield client


async def test_a_message_without_a_status_costs_its_status_only(volt: VoltClient, sandbox: Sandbox) -> None:
    me = sandbox.world.accounts[0].primary_phone
    inbox = (await volt.query("inbox", {"from": me})).value
    talks = [{"from": me, "to": item["contact"]["phoneNumber"]} for item in inbox["items"][:8]]
    right = await volt.query_each("conversation", talks)
    spoiled = right[5].value["messages"][0]
    sandbox.faults.null_fields.add(("Message", spoiled["id"], "status"))

    replies = await volt.query_each("conversation", talks)
    assert [index for index, reply in enumerate(replies) if reply.error] == [5], "the others are read all the same"
    error = replies[5].error
    assert isinstance(error, ServerError)
    assert error.paths == (("messages", 0, "status"),)

    without = suspects("conversation", error.paths)
    assert without == {"Message.status"}
    (again,) = await volt.query_each("conversation", [talks[5]], without=without)
    assert again.error is None
    assert again.value["messages"][0] == {name: value for name, value in spoiled.items() if name != "status"}


async def test_a_changed_contract_is_seen_and_stops_only_who_needs_what_is_gone(
    volt: VoltClient, sandbox: Sandbox
) -> None:
    sandbox.faults.drift = chained(
        removed("Wave.sentBy"), added("Contact", "nickname: String"), retyped("Message.confirmedAt", "String")
    )
    assert [str(each) for each in await drift(volt)] == [
        "Wave.sentBy is gone: it was String!. Needed by wave, scheduleMessage, scheduleWave",
        "Message.confirmedAt has changed: it was String! and is String (only nullability). "
        "Needed by conversation, legacyMessage, message, createMessage",
        "Contact.nickname is new: it is String",
    ]
    wanted = {"id": sandbox.world.waves[0].id}
    with pytest.raises(ContractError) as caught:
        await volt.query_each("wave", [wanted])
    assert str(caught.value) == (
        "wave: Volt does not know the field Wave.sentBy. Its API may have changed; run volt-pipeline doctor"
    )
    assert (await volt.query("wave", wanted, without=frozenset({"Wave.sentBy"}))).value["id"] == wanted["id"]
    assert (await volt.query("message", {"id": sandbox.world.messages[0].id})).value
