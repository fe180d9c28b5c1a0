"""A sandbox with a rate limit, over HTTP: everything is read, with few refusals, and a mutation goes out once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import RateLimited
from volt_pipeline.sandbox.rate_limits import FixedWindow, RateLimit, TokenBucket
from volt_pipeline.sandbox.server import TOKEN, Sandbox, running
from volt_pipeline.sandbox.world import World

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(World.create(seed=3, accounts=1, contacts=40, now=NOW)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Iterator[Sandbox]:
    server.requests.clear()
    yield server
    server.faults.rate_limit = server.faults.max_root_fields = None


@pytest.mark.parametrize(
    "limit", [FixedWindow(20), FixedWindow(10, 0.5), TokenBucket(20, 5), FixedWindow(20, retry_after=0.5)]
)
async def test_nothing_is_lost_and_few_are_refused(sandbox: Sandbox, limit: RateLimit) -> None:
    sandbox.faults.rate_limit = limit
    me = sandbox.world.accounts[0].primary_phone
    async with VoltClient(sandbox.url, TOKEN, batch=1) as volt:
        inbox = (await volt.query("inbox", {"from": me})).value
        talks = [{"from": me, "to": item["contact"]["phoneNumber"]} for item in inbox["items"] if item["contact"]] * 3
        replies = await volt.query_each("conversation", talks)
    assert [reply.error for reply in replies] == [None] * len(talks)
    assert all(reply.value["messages"] for reply in replies)
    answered = [each for each in sandbox.requests if each.status == 200]
    refused = [each for each in sandbox.requests if each.status == 429]
    assert len(answered) == len(talks) + 1, "what was answered is not asked again"
    assert 0 < len(refused) < len(answered) / 2
    assert volt.usage.throttled == len(refused)


async def test_a_refused_mutation_has_no_effect_and_is_not_sent_again(sandbox: Sandbox) -> None:
    sandbox.faults.rate_limit = FixedWindow(0)
    async with VoltClient(sandbox.url, TOKEN) as volt:
        with pytest.raises(RateLimited) as caught:
            await volt.mutate("registerWebhook", {"url": "https://example.com/hook"})
    assert caught.value.proof == "throttled"
    assert [each.status for each in sandbox.requests] == [429]
    assert sandbox.world.webhooks == type(sandbox.world.webhooks)()


async def test_the_size_of_documents_is_found_and_hardly_ever_refused_again(sandbox: Sandbox) -> None:
    sandbox.faults.max_root_fields = 9
    me = sandbox.world.accounts[0].primary_phone
    async with VoltClient(sandbox.url, TOKEN) as volt:
        for _ in range(25):
            replies = await volt.query_each("contact", [{"primaryPhone": me, "phoneNumber": me}] * 90)
            assert [reply.error for reply in replies] == [None] * 90
    refused = [each for each in sandbox.requests if len(each.root_fields) > 9]
    assert len(refused) >= 3
    assert not any(each in refused for each in sandbox.requests[-150:]), "the trials end"
    assert {len(each.root_fields) for each in sandbox.requests[-20:]} == {9}
