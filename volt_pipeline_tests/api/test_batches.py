"""Many items in few documents: what is settled, what is asked again, and how many requests that takes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import (
    AuthError,
    ContractError,
    NotFound,
    RateLimited,
    ServerError,
    TooComplex,
    TransientError,
)

from .scripted import TOKEN, Asked, Hands, Respond, Say, ScriptedVolt, conversations, data, failing, phone, serving

ME = phone(0)


def people(count: int) -> list[dict[str, Any]]:
    return [{"from": ME, "to": phone(number)} for number in range(1, count + 1)]


def answered(items: list[dict[str, Any]], replies: list[Reply], bad: set[str], kind: type[Exception]) -> None:
    """Every good item has its own value, every bad one its error."""
    for item, reply in zip(items, replies, strict=True):
        if item["to"] in bad:
            assert type(reply.error) is kind
            assert reply.value is None
        else:
            assert reply.error is None
            assert reply.value == {"to": item["to"]}


async def test_items_travel_together_and_come_back_in_order(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(conversations(set(), blamed=True))
    items = people(60)
    answered(items, await client.query_each("conversation", items), set(), NotFound)
    assert sorted(len(asked.items) for asked in volt.asked) == [10, 25, 25]


async def test_no_items_are_no_request(client: VoltClient, volt: ScriptedVolt) -> None:
    assert await client.query_each("conversation", []) == []
    assert volt.asked == []


async def test_a_named_culprit_costs_one_more_request(client: VoltClient, volt: ScriptedVolt) -> None:
    items, bad = people(25), {phone(7)}
    volt.says(conversations(bad, blamed=True))
    answered(items, await client.query_each("conversation", items), bad, NotFound)
    assert [len(asked.items) for asked in volt.asked] == [25, 24]


async def test_a_nameless_culprit_is_found_by_halving(client: VoltClient, volt: ScriptedVolt) -> None:
    items, bad = people(25), {phone(7)}
    volt.says(conversations(bad, blamed=False))
    answered(items, await client.query_each("conversation", items), bad, NotFound)
    assert len(volt.asked) == 9, "25, then its halves down to the one: 13 + 12, 7 + 6, 4 + 3, 2 + 1"
    good = Counter(
        item["to"] for asked in volt.asked for item in asked.items if not bad & {other["to"] for other in asked.items}
    )
    assert set(good.values()) == {1}, "what was answered is not asked again"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(bad=st.sets(st.integers(1, 30)), blamed=st.booleans(), kind=st.sampled_from(["missing", "broken"]))
async def test_any_culprits_are_found(
    client: VoltClient, volt: ScriptedVolt, bad: set[int], blamed: bool, kind: str
) -> None:
    items, culprits = people(30), {phone(number) for number in bad}
    message, code = ("gone", "NOT_FOUND") if kind == "missing" else ("boom", "INTERNAL_SERVER_ERROR")
    volt.says(conversations(culprits, blamed=blamed, message=message, code=code))
    replies = await client.query_each("conversation", items)
    answered(items, replies, culprits, NotFound if kind == "missing" else ServerError)


async def test_a_nullable_root_fails_alone(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(
        Say(
            {
                "data": {"a0": {"id": "rf_0"}, "a1": None, "a2": None, "a3": {"id": "rf_3", "wave": None}},
                "errors": [
                    {"message": "gone", "path": ["a1"], "extensions": {"code": "NOT_FOUND"}},
                    {"message": "boom", "path": ["a3", "wave"]},
                ],
            }
        )
    )
    replies = await client.query_each("message", [{"id": f"rf_{number}"} for number in range(4)])
    assert [reply.value for reply in replies] == [{"id": "rf_0"}, None, None, {"id": "rf_3", "wave": None}]
    assert [type(reply.error) for reply in replies] == [type(None), NotFound, type(None), type(None)]
    assert isinstance(replies[3].partial, ServerError)
    assert len(volt.asked) == 1


async def test_a_null_beside_an_error_that_names_nobody_is_not_believed(client: VoltClient, volt: ScriptedVolt) -> None:
    """A null means "gone" to those who retire rows: it must be Volt's word, not a failure's trace."""

    def respond(asked: Asked) -> Say:
        ids = [item["id"] for item in asked.items]
        found = {f"a{index}": None if wanted == "bad" else {"id": wanted} for index, wanted in enumerate(ids)}
        return failing("boom", "BAD_USER_INPUT", data=found) if "bad" in ids else Say({"data": found})

    volt.says(respond)
    replies = await client.query_each("message", [{"id": wanted} for wanted in ("1", "bad", "2")])
    assert [reply.value for reply in replies] == [{"id": "1"}, None, {"id": "2"}]
    assert isinstance(replies[1].error, ContractError)
    assert [len(asked.items) for asked in volt.asked] == [3, 1]


def too_many(limit: int, then: Respond) -> Respond:
    return lambda asked: failing("x", "QUERY_TOO_COMPLEX", status=400) if len(asked.items) > limit else then(asked)


async def test_a_document_too_large_is_halved_and_the_size_remembered(client: VoltClient, volt: ScriptedVolt) -> None:
    items = people(25)
    volt.says(too_many(8, conversations(set(), blamed=True)))
    answered(items, await client.query_each("conversation", items), set(), NotFound)
    sizes = [len(asked.items) for asked in volt.asked]
    assert sorted(size for size in sizes if size > 8) == [12, 13, 25]
    assert sum(size for size in sizes if size <= 8) == 25
    volt.says(too_many(8, conversations(set(), blamed=True)))
    await client.query_each("conversation", items)
    assert max(len(asked.items) for asked in volt.asked) <= 8
    volt.says(lambda asked: Say({"data": {f"a{index}": {} for index in range(len(asked.items))}}))
    await client.query_each("message", [{"id": str(number)} for number in range(25)])
    assert len(volt.asked) == 1, "another operation keeps its own size"


async def test_one_item_too_complex_alone_has_its_error(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("x", "QUERY_TOO_COMPLEX"))
    replies = await client.query_each("conversation", people(4))
    assert {type(reply.error) for reply in replies} == {TooComplex}


async def test_an_answer_too_large_is_asked_in_parts(volt: ScriptedVolt) -> None:
    def respond(asked: Asked) -> Say:
        return Say(
            {"data": {f"a{index}": {"to": item["to"], "x": "x" * 999} for index, item in enumerate(asked.items)}}
        )

    volt.says(respond)
    async with VoltClient(volt.url, TOKEN, max_response_bytes=5000) as client:
        replies = await client.query_each("conversation", people(16))
    assert [reply.value["to"] for reply in replies] == [item["to"] for item in people(16)]
    assert max(len(asked.items) for asked in volt.asked[-4:]) == 4


@pytest.mark.parametrize("how", [Say(b"", 500), Say({"data": 1}), Say(drop=True)])
async def test_an_item_that_breaks_volt_is_found(client: VoltClient, volt: ScriptedVolt, how: Say) -> None:
    items, poison = people(10), phone(3)
    good = conversations(set(), blamed=True)
    volt.says(lambda asked: how if poison in {item["to"] for item in asked.items} else good(asked))
    answered(items, await client.query_each("conversation", items), {poison}, TransientError)


async def test_an_item_that_takes_for_ever_is_found(volt: ScriptedVolt) -> None:
    items, poison = people(6), phone(3)
    good = conversations(set(), blamed=True)
    volt.says(lambda asked: Say(hang=True) if poison in {item["to"] for item in asked.items} else good(asked))
    async with VoltClient(volt.url, TOKEN, timeout=0.15, deadline=0.4) as client:
        answered(items, await client.query_each("conversation", items), {poison}, TransientError)


async def test_when_nobody_is_answered_the_run_is_told(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(Say(b"", 503))
    with pytest.raises(TransientError):
        await client.query_each("conversation", people(500))
    assert len(volt.asked) < 400, "an outage is noticed, not tried out item by item"


async def test_a_refused_token_ends_the_run_at_once(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(Say(b"", 401))
    with pytest.raises(AuthError) as caught:
        await client.query_each("conversation", people(500))
    assert len(volt.asked) <= 4
    assert caught.value.__context__ is None


async def test_a_token_refused_half_way_is_raised(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(
        Say({"data": {"a0": {"id": "1"}, "a1": None}, "errors": [{"message": "Unauthorized", "path": ["a1"]}]}),
    )
    with pytest.raises(AuthError, match="VOLT_API_TOKEN"):
        await client.query_each("message", [{"id": "1"}, {"id": "2"}])


async def test_one_forbidden_item_is_its_own_error(client: VoltClient, volt: ScriptedVolt) -> None:
    forbidden = {"message": "Forbidden", "path": ["a1"], "extensions": {"code": "FORBIDDEN"}}
    volt.says(Say({"data": {"a0": {"id": "1"}, "a1": None}, "errors": [forbidden]}))
    replies = await client.query_each("wave", [{"id": "1"}, {"id": "2"}])
    assert isinstance(replies[1].error, AuthError)
    assert replies[0].value == {"id": "1"}


async def test_an_operation_that_the_token_may_not_use_is_raised(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("Forbidden", "FORBIDDEN", path=["a0"], data={"a0": None, "a1": None}))
    with pytest.raises(AuthError, match="VOLT_API_TOKEN"):
        await client.query_each("wave", [{"id": "1"}, {"id": "2"}])


async def test_a_query_that_volt_no_longer_knows_is_raised(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing('Cannot query field "x" on type "Wave".', status=400))
    with pytest.raises(ContractError, match="may have changed"):
        await client.query_each("wave", [{"id": str(number)} for number in range(50)])
    assert len(volt.asked) <= 4


async def test_a_rate_limited_alias_is_asked_again_alone(client: VoltClient, volt: ScriptedVolt, hands: Hands) -> None:
    limited = failing("slow", "THROTTLED", path=["a1"], data={"a0": {"id": "0"}, "a1": None, "a2": None})
    volt.says(limited, data(a0={"id": "1"}))
    replies = await client.query_each("message", [{"id": str(number)} for number in range(3)])
    assert [reply.value for reply in replies] == [{"id": "0"}, {"id": "1"}, None]
    assert [len(asked.items) for asked in volt.asked] == [3, 1]
    assert hands.slept == [0.2]


async def test_a_rate_limit_that_lasts_is_the_runs_problem(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(Say(b"", 429))
    with pytest.raises(RateLimited):
        await client.query_each("message", [{"id": "1"}, {"id": "2"}])


async def test_a_failing_alias_is_tried_three_times(client: VoltClient, volt: ScriptedVolt) -> None:
    def respond(asked: Asked) -> Say:
        ids = [item["id"] for item in asked.items]
        found = {f"a{index}": None if wanted == "1" else {"id": wanted} for index, wanted in enumerate(ids)}
        return failing("boom", path=[f"a{ids.index('1')}"], data=found) if "1" in ids else Say({"data": found})

    volt.says(respond)
    replies = await client.query_each("message", [{"id": str(number)} for number in range(3)])
    assert isinstance(replies[1].error, ServerError)
    assert [len(asked.items) for asked in volt.asked] == [3, 1, 1]


async def test_batches_share_the_slots(volt: ScriptedVolt) -> None:
    async with serving() as other, VoltClient(other.url, TOKEN, concurrency=3, batch=2) as client:
        other.says(conversations(set(), blamed=True))
        await client.query_each("conversation", people(40))
        assert other.most_under_way <= 3
        assert len(other.asked) == 20
