"""What is decoded into a shape comes to the same rows as what is decoded plainly, or does not fit."""

from __future__ import annotations

import json
from typing import Any, cast

import orjson
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.transport import _decode, _shaped
from volt_pipeline.batch import Batch, Walk
from volt_pipeline.extract.messages import take_page
from volt_pipeline.extract.pages import Page, PageError
from volt_pipeline.extract.reader import Reader
from volt_pipeline.extract.shapes import Conversation, plain

from .test_ordinary import ASKED, MESSAGE, ODD
from .trapping import Trap

OURS, THEIRS = MESSAGE["fromNumber"], MESSAGE["toNumber"]


def answer(*messages: Any, info: Any = None, **beside: Any) -> dict[str, Any]:
    whole = {"totalItems": 3, "hasNextPage": True, "nextPage": "on"} if info is None else info
    return {"data": {"a0": {"messages": list(messages), "pageInfo": whole}}, **beside}


def taken(value: Any, *, one_by_one: bool = False) -> Any:
    """All that a page comes to: its place in the walk, its rows and what else it shows; None where it is none."""
    reader = Reader(cast(Any, None), cast(Any, None), lambda *_: None)
    reader.numbers = {OURS: "1"}
    batch = Batch()
    try:
        page = Page.of(value, "messages", ASKED)
    except PageError:
        return None
    flaws = {len(page.items): "of no message, but pages with flaws are never taken at once"} if one_by_one else {}
    times = take_page(reader, batch, Walk("messages", "1", OURS, THEIRS), page, flaws)
    return page.total, page.next_cursor, page.broken, times, batch


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_what_the_contract_says_fits() -> None:
    inbound = {**MESSAGE, "fromNumber": THEIRS, "toNumber": OURS, "status": "received", "confirmedAt": None}
    messages = [MESSAGE, {**MESSAGE, "id": "2", "wave": {"id": "5"}, "status": "sending"}, {**inbound, "id": "3"}]
    messages += [
        {**MESSAGE, "id": "4", "contact": None, "body": None, "status": None, "media": ["https://example.com/a.png"]}
    ]
    sent = answer(*messages)
    found = _shaped(body(sent), Conversation)
    assert found is not None
    assert plain(found["a0"].messages) == messages
    assert taken(found["a0"]) == taken(sent["data"]["a0"], one_by_one=True)


def test_what_is_broken_beside_the_data_does_not_fit() -> None:
    whole = answer(MESSAGE)
    for odd in (
        answer(MESSAGE, errors=[{"message": "no"}]),
        answer(MESSAGE, errors=[]),
        {**whole, "data": {**whole["data"], "a1": None}},
        {**whole, "data": None},
        {"data": [whole["data"]["a0"]]},
        whole["data"],
    ):
        assert _shaped(body(odd), Conversation) is None
    for cut in (b"", body(whole)[:-1], body(whole) + b"x", body(whole).replace(b"rf_1", b"\xff"), b"[" * 100_000):
        assert _shaped(cut, Conversation) is None


@given(data=st.data())
def test_whatever_comes_all_ways_come_to_the_same(data: st.DataObject) -> None:
    messages: list[Any] = []
    for _ in range(data.draw(st.integers(0, 3))):
        changed = {**MESSAGE, **data.draw(st.dictionaries(st.sampled_from(sorted(MESSAGE)), ODD, max_size=2))}
        for name in data.draw(st.lists(st.sampled_from(sorted(MESSAGE)), max_size=1)):
            changed.pop(name)
        messages.append(data.draw(st.sampled_from([changed, changed, changed, None, {**changed, "extra": 1}])))
    info = data.draw(st.fixed_dictionaries({"totalItems": ODD, "hasNextPage": ODD, "nextPage": ODD}) | st.none())
    try:
        sent = orjson.dumps(answer(*messages, info=info))
    except TypeError:  # lone surrogates and the largest numbers, which orjson does not write
        sent = body(answer(*messages, info=info))
    found = _shaped(sent, Conversation)
    plainly = _decode(sent)["data"]["a0"]
    assert taken(plainly) == taken(plainly, one_by_one=True)
    if found is not None:
        assert taken(found["a0"]) == taken(plainly)


async def test_the_sandbox_speaks_so(trap: Trap) -> None:
    account, contact = trap.world.accounts[0], trap.world.contacts[0]
    asked = {"from": account.primary_phone, "to": contact.phone_number}
    async with VoltClient(trap.sandbox.url, trap.sandbox.token) as volt:
        shaped = await volt.query_each("conversation", [asked, asked], shape=Conversation)
        (as_ever,) = await volt.query_each("conversation", [asked])
    for reply in shaped:
        assert isinstance(reply.value, Conversation)
        assert reply.value.messages
        assert plain(reply.value.messages) == as_ever.value["messages"]
