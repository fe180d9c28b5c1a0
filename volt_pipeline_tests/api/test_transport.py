"""What travels: redirects, size, compression, odd characters, connections, and the settings that make a client."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import ContractError, VoltError

from .scripted import TOKEN, Respond, Say, ScriptedVolt, data, serving

GOOD = data(message={"id": "rf_1"})
WANTED = {"id": "rf_1"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_the_token_stays(client: VoltClient, volt: ScriptedVolt, status: int) -> None:
    async with serving() as elsewhere:
        volt.says(Say(b"", status, {"Location": elsewhere.url}))
        with pytest.raises(ContractError, match="Set VOLT_API_URL to the final address"):
            await client.query("message", WANTED)
        assert len(volt.asked) == 1
        assert elsewhere.asked == []


BIG = json.dumps({"data": {"message": {"body": "x" * 5000}}}).encode()


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
async def test_an_answer_is_read_up_to_a_cap(volt: ScriptedVolt, headers: dict[str, str]) -> None:
    volt.says(Say(gzip.compress(BIG) if headers else BIG, headers=headers))
    async with VoltClient(volt.url, TOKEN, max_response_bytes=4096) as client:
        with pytest.raises(ContractError, match="larger than 4096 bytes"):
            await client.query("message", WANTED)
    assert len(volt.asked) == 1


async def test_compressed_answers_are_read(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(Say(gzip.compress(BIG), headers={"Content-Encoding": "gzip"}))
    assert len((await client.query("message", WANTED)).value["body"]) == 5000
    assert client.usage.bytes == len(BIG)


async def test_half_an_emoji_is_read_and_sent(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(Say(b'{"data": {"message": {"body": "\\ud83d"}}}'))
    reply = await client.query("message", {"id": "\ud83d"})
    assert reply.value == {"body": "\ud83d"}
    assert volt.asked[0].variables == {"id": "\ud83d"}


async def test_so_many_requests_run_at_once(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(GOOD)
    volt.gate = asyncio.Event()
    many = [asyncio.create_task(client.query("message", WANTED)) for _ in range(20)]
    await asyncio.sleep(0.2)
    assert volt.under_way == 4
    volt.gate.set()
    await asyncio.gather(*many)
    assert volt.most_under_way == 4


async def test_usage_counts_by_operation(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(GOOD, data(webhooks=[]))
    await client.query("message", WANTED)
    await client.query("webhooks", {})
    assert client.usage.by_operation == {"message": 1, "webhooks": 1}
    assert client.usage.bytes > 0


@pytest.mark.parametrize("url", ["", "volt", "ftp://x/y", "http://", "http://[::1", "http://h:99999/", "http://a:b@h/"])
async def test_an_address_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(ContractError, match="VOLT_API_URL"):
        VoltClient(url, TOKEN)


async def test_a_slip_of_the_pen_is_no_request(client: VoltClient, volt: ScriptedVolt) -> None:
    wrong: list[tuple[Any, type[Exception]]] = [
        (client.query("message", {"ID": "x"}), TypeError),
        (client.query_each("message", [{"ID": "x"}]), TypeError),
        (client.query("createMessage", {}), ValueError),
        (client.query_each("createMessage", []), ValueError),
        (client.mutate("message", {}), ValueError),
        (client.query("nothing", {}), LookupError),
    ]
    for call, kind in wrong:
        with pytest.raises(kind):
            await call
    assert volt.asked == []


async def test_a_cancelled_query_leaves_the_client_usable(client: VoltClient, volt: ScriptedVolt) -> None:
    hang: Respond = lambda _asked: Say(hang=True)  # noqa: E731
    volt.says(*[hang] * 5, GOOD)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.query("message", WANTED), 0.05)
    assert (await client.query("message", WANTED)).value == {"id": "rf_1"}


async def test_a_client_must_be_opened(volt: ScriptedVolt) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await VoltClient(volt.url, TOKEN).query("message", WANTED)


async def test_a_client_can_be_opened_again(volt: ScriptedVolt) -> None:
    volt.says(GOOD)
    client = VoltClient(volt.url, TOKEN)
    for _ in range(2):
        async with client:
            await client.query("message", WANTED)
    assert client.usage.requests == 2


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    LEAF, lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3)
)
PATH = JSON | st.just(["a0"]) | st.just(["message", 0])
ERROR = st.fixed_dictionaries({}, optional={"message": JSON, "path": PATH, "extensions": JSON, "code": JSON})
DATA = JSON | st.dictionaries(st.sampled_from(["message", "a0", "a1"]), JSON)
ANSWER = JSON | st.fixed_dictionaries({}, optional={"data": DATA, "errors": JSON | st.lists(ERROR)})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANSWER, st.sampled_from([200, 200, 200, 204, 206, 400, 404, 422, 500]))
async def test_whatever_comes_is_a_reply_or_an_error_of_ours(
    client: VoltClient, volt: ScriptedVolt, answer: Any, status: int
) -> None:
    volt.says(Say(answer, status))
    for asking in (
        client.query("message", WANTED),
        client.query_each("message", [WANTED] * 2),
        client.mutate("deleteWebhook", WANTED),
    ):
        with contextlib.suppress(VoltError):
            await asking
