"""All fifteen operations against the sandbox, which knows Volt only by its published text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.documents import operations
from volt_pipeline.api.errors import AuthError, NotFound
from volt_pipeline.api.inputs import (
    ContactInput,
    ListQuery,
    ListQueryOperator,
    ListQueryRule,
    MessageSchedulingJob,
    NewWaveStatus,
    WaveSchedulingJob,
    WaveType,
)
from volt_pipeline.api.tokens import expires_at, permissions
from volt_pipeline.sandbox.server import TOKEN, Sandbox, running
from volt_pipeline.sandbox.world import World

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(World.create(seed=3, accounts=2, contacts=60, now=NOW), max_root_fields=10) as server:
        yield server


@pytest.fixture
async def volt(sandbox: Sandbox) -> AsyncIterator[VoltClient]:
    async with VoltClient(sandbox.url, TOKEN) as client:
        yield client


@pytest.fixture
def me(sandbox: Sandbox) -> str:
    return sandbox.world.accounts[0].primary_phone


async def test_the_queries_answer(volt: VoltClient, me: str) -> None:
    inbox = (await volt.query("inbox", {"from": me})).value
    assert inbox["account"]["primaryPhone"] == me
    assert inbox["account"]["organization"]["companyName"]
    contact = inbox["items"][0]["contact"]
    assert all(found.keys() == {"id", "name"} for found in contact["lists"])
    more = await volt.query("inbox", {"from": me, "before": inbox["pageInfo"]["nextPage"]})
    assert more.value["items"]

    one = await volt.query("contact", {"primaryPhone": me, "phoneNumber": contact["phoneNumber"]})
    assert one.value == contact

    talk = await volt.query("conversation", {"from": me, "to": contact["phoneNumber"]})
    assert talk.value["pageInfo"].keys() == {"totalItems", "nextPage", "hasNextPage"}
    text = talk.value["messages"][0]
    assert (await volt.query("message", {"id": text["id"]})).value == text

    everyone = (await volt.query("list", {"primaryPhone": me, "listName": "All"})).value
    assert everyone["size"] > 0
    assert isinstance((await volt.query("webhooks", {})).value, list)


async def test_a_message_is_found_by_its_provider_id_and_its_wave(volt: VoltClient, sandbox: Sandbox) -> None:
    known = next(message for message in sandbox.world.messages if message.legacy_id)
    assert (await volt.query("legacyMessage", {"id": known.legacy_id})).value["id"] == known.id
    wave = sandbox.world.waves[0]
    found = (await volt.query("wave", {"id": wave.id})).value
    assert found["name"] == wave.name
    assert found["totalMessages"] >= 0


async def test_many_conversations_arrive_beside_those_that_do_not_exist(volt: VoltClient, sandbox: Sandbox) -> None:
    account = sandbox.world.accounts[0]
    inbox = (await volt.query("inbox", {"from": account.primary_phone})).value
    people = [item["contact"]["phoneNumber"] for item in inbox["items"]]
    missing = {3: "+19995550100", 17: "+19995550101"}
    wanted = [missing.get(index, person) for index, person in enumerate(people)]
    replies = await volt.query_each("conversation", [{"from": account.primary_phone, "to": to} for to in wanted])
    assert {index for index, reply in enumerate(replies) if isinstance(reply.error, NotFound)} == set(missing)
    assert all(reply.value["messages"] for index, reply in enumerate(replies) if index not in missing)


async def test_the_mutations_answer(volt: VoltClient, me: str) -> None:
    known = (await volt.query("inbox", {"from": me})).value["items"][0]["contact"]
    phone = known["phoneNumber"]
    fields = {field["key"]: field["value"] for field in known["customFields"]}
    written = await volt.mutate("createOrUpdateContact", ContactInput("Wile E.", phone, me, fields, False).variables())
    assert (written.value["id"], written.value["name"]) == (known["id"], "Wile E.")

    rules = (ListQueryRule.of(next(iter(fields)), ListQueryOperator.HAS, "a"),) if fields else None
    made = await volt.mutate("createOrUpdateList", ListQuery("Coyotes", "All", "Wile", rules).variables(me))
    assert made.value["name"] == "Coyotes"

    sent = await volt.mutate("createMessage", {"to": phone, "from": me, "body": "Hi"})
    assert sent.value["id"].startswith("rf_")
    soon = datetime.now(UTC) + timedelta(days=400)
    later = await volt.mutate("scheduleMessage", MessageSchedulingJob(soon, "Hi", (phone,)).variables(me))
    assert later.value["id"]
    wave = WaveSchedulingJob("Sale", soon, "Hi", ("All",)).variables(WaveType.ACCOUNT, NewWaveStatus.DRAFT, me)
    assert (await volt.mutate("scheduleWave", wave)).value["name"] == "Sale"

    hook = (await volt.mutate("registerWebhook", {"url": "https://example.com/hook"})).value
    assert (await volt.mutate("deleteWebhook", {"id": hook["id"]})).value["id"] == hook["id"]


async def test_every_operation_was_asked(sandbox: Sandbox) -> None:
    good = {recorded.operation for recorded in sandbox.requests if recorded.status == 200}
    assert good == set(operations())


async def test_another_token_is_refused(sandbox: Sandbox) -> None:
    async with VoltClient(sandbox.url, "another-token") as client:
        with pytest.raises(AuthError, match="VOLT_API_TOKEN"):
            await client.query("webhooks", {})


def test_the_token_is_read_like_volts() -> None:
    dies = expires_at(TOKEN)
    assert dies is not None
    assert dies > NOW
    assert "read:messages" in permissions(TOKEN)
