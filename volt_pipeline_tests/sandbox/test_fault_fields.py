"""Objects that go wrong over HTTP: errors spread as GraphQL says, raw values arrive raw, and switched off it ends."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from volt_pipeline.sandbox import oddities
from volt_pipeline.sandbox.entities import Contact, Message
from volt_pipeline.sandbox.faults import ANY, MISSING, Faults
from volt_pipeline.sandbox.server import Sandbox
from volt_pipeline.sandbox.world import World

from .conftest import ask, example, http

MESSAGE = "query m($id: ID!) { one: message(id: $id) { %s } }"
TALK = """query t($to: String!, $from: String!) { talk: conversation(to: $to, from: $from) {
  messages { key: id ...Text } pageInfo { totalItems } } }
fragment Text on Message { status sent: sentAt media body contact { id name } wave { id name } }"""
INBOX = """query i($from: String!) { inbox(from: $from) {
  items { contact { id name lists { id name } } lastMessage isUnread lastMessageTime } pageInfo { totalItems } } }"""


@pytest.fixture
def message(world: World) -> Message:
    """A message with a picture, in a conversation of several."""
    return next(each for each in reversed(world.messages) if each.media and not world.ledger.colleague(each.contact))


@pytest.fixture(autouse=True)
def _unharmed(sandbox: Sandbox, message: Message) -> Iterator[None]:
    """Whatever was on: once it is off, everything is as before."""
    before = talk(sandbox, message), ask(sandbox, INBOX, **{"from": message.account.primary_phone})
    yield
    sandbox.faults = Faults()
    assert (talk(sandbox, message), ask(sandbox, INBOX, **{"from": message.account.primary_phone})) == before


def talk(sandbox: Sandbox, message: Message) -> Any:
    return ask(sandbox, TALK, to=message.contact.phone_number, **{"from": message.account.primary_phone})


def one(sandbox: Sandbox, message: Message, selected: str) -> Any:
    return ask(sandbox, MESSAGE % selected, id=message.id)


def found(body: Any, message: Message) -> Any:
    return next(each for each in body["data"]["talk"]["messages"] if each["key"] == message.id)


# --- nulls and failures ---------------------------------------------------------------------------------------


def test_a_null_where_none_may_be_spreads_to_the_next_nullable(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.null_fields.add(("Message", message.id, "status"))
    alone = one(sandbox, message, "id status")
    assert alone["data"] == {"one": None}
    assert alone["errors"][0]["message"] == "Cannot return null for non-nullable field Message.status."
    spread = talk(sandbox, message)
    assert spread["data"] is None
    assert spread["errors"][0]["path"][:2] == ["talk", "messages"]
    other = next(each for each in sandbox.world.messages if each is not message)
    assert one(sandbox, other, "id status")["data"]["one"]["status"] == other.status


def test_a_mutation_may_have_its_effect_and_no_data(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.null_fields.add(("Message", ANY, "legacyId"))
    text = 'mutation m($to: String!, $from: String!) { createMessage(to: $to, from: $from, body: "x") { id legacyId } }'
    phones = {"to": "+19185550001", "from": message.account.primary_phone}
    count = len(sandbox.world.messages)
    body = ask(sandbox, text, **phones)
    assert (body["data"], len(sandbox.world.messages)) == (None, count + 1)
    sandbox.world.forget_message(sandbox.world.messages[-1])


def test_a_null_may_stand_in_any_object_and_at_a_root(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.null_fields |= {("Contact", ANY, "name"), ("Query", "", "wave")}
    body = one(sandbox, message, "id contact { id name }")
    assert body["data"]["one"] == {"id": message.id, "contact": None}
    assert ask(sandbox, "{ wave(id: 1) { id } webhooks { id } }") == {"data": {"wave": None, "webhooks": []}}


def test_a_failing_message_is_null_alone_and_takes_its_page_along(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.failing_messages.add(message.id)
    for body in (one(sandbox, message, "wave { id }"), one(sandbox, message, "id")):
        assert body["data"] == {"one": None}
        assert body["errors"][0]["message"] == "Internal server error"
        assert "extensions" not in body["errors"][0]
    assert talk(sandbox, message)["data"] is None


def test_a_failing_contact_leaves_an_item_without_one(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.failing_contacts.add(message.contact.id)
    body = ask(sandbox, INBOX, **{"from": message.account.primary_phone})
    ids = [item["contact"] and item["contact"]["id"] for item in body["data"]["inbox"]["items"]]
    assert message.contact.id not in ids
    assert len(body["errors"]) <= 1
    spread = talk(sandbox, message)
    assert {each["contact"] and each["contact"]["id"] for each in spread["data"]["talk"]["messages"]} == {None}
    assert len(spread["errors"]) == len(spread["data"]["talk"]["messages"])


def test_a_failing_wave_and_a_failing_inbox_are_null(sandbox: Sandbox, world: World) -> None:
    sent = next(each for each in world.messages if each.wave)
    assert sent.wave is not None
    sandbox.faults.failing_waves.add(sent.wave.id)
    sandbox.faults.failing_inboxes.add(world.accounts[0].primary_phone)
    assert ask(sandbox, "query w($id: ID!) { wave(id: $id) { id } }", id=sent.wave.id)["data"] == {"wave": None}
    assert one(sandbox, sent, "id wave { id }")["data"]["one"] == {"id": sent.id, "wave": None}
    assert ask(sandbox, INBOX, **{"from": world.accounts[0].primary_phone})["data"] == {"inbox": None}
    assert ask(sandbox, INBOX, **{"from": world.accounts[1].primary_phone})["data"]["inbox"]["items"]


def test_a_failing_list_takes_data_and_its_members(sandbox: Sandbox, world: World) -> None:
    sandbox.faults.failing_lists.add("All")
    phone = world.accounts[0].primary_phone
    query = "query l($phone: String!, $name: String!) { list(primaryPhone: $phone, listName: $name) { id } }"
    assert ask(sandbox, query, phone=phone, name="All")["data"] is None
    assert ask(sandbox, query, phone=phone, name="Contractors")["data"]
    items = ask(sandbox, INBOX, **{"from": phone})["data"]["inbox"]["items"]
    assert {item["contact"] for item in items} == {None}


def test_a_failing_conversation_takes_all_others_along(sandbox: Sandbox, world: World) -> None:
    good, bad = [each for each in world.contacts if each.account is world.accounts[0]][:2]
    phone = good.account.primary_phone
    sandbox.faults.failing_conversations.add((phone, bad.phone_number))
    both = " ".join(
        f'{name}: conversation(from: "{phone}", to: "{each.phone_number}") {{ pageInfo {{ totalItems }} }}'
        for name, each in (("good", good), ("bad", bad))
    )
    body = ask(sandbox, f"{{ {both} }}")
    assert body["data"] is None
    assert [error["path"] for error in body["errors"]] == [["bad"]]


# --- raw values -----------------------------------------------------------------------------------------------

RAW = [
    *(("status", value) for value in oddities.STATUSES),
    *(("sentAt", value) for value in oddities.TIMES.values()),
    *(("body", value) for value in (*oddities.TEXTS.values(), *oddities.WRONG_KINDS)),
]


@pytest.mark.parametrize(("field", "value"), RAW, ids=[f"{field} {str(value)[:12]!a}" for field, value in RAW])
def test_any_value_may_stand_in_any_field(sandbox: Sandbox, message: Message, field: str, value: Any) -> None:
    sandbox.faults.patch("Message", field, value, of=message.id)
    body = talk(sandbox, message)
    alias = {"sentAt": "sent"}.get(field, field)
    assert found(body, message)[alias] == value
    assert type(found(body, message)[alias]) is type(value)
    assert "errors" not in body
    others = [each for each in body["data"]["talk"]["messages"] if each["key"] != message.id]
    assert value not in [each[alias] for each in others] or field in ("status", "body")


def test_surrogates_are_escaped_in_the_bytes(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.patch("Message", "body", oddities.TEXTS["lone surrogate"], of=message.id)
    asked = {"query": MESSAGE % "body", "variables": {"id": message.id}}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {sandbox.token}"}
    request = urllib.request.Request(sandbox.url, orjson.dumps(asked), headers)
    with urllib.request.urlopen(request) as response:
        assert rb"\ud83d" in response.read()


def test_a_patch_may_be_made_of_the_right_value_and_chosen_by_a_test(sandbox: Sandbox, message: Message) -> None:
    def is_mine(source: Contact) -> bool:
        return source.phone_number == message.contact.phone_number

    patch = sandbox.faults.patch("Contact", "name", str.upper, of=is_mine)
    assert found(talk(sandbox, message), message)["contact"]["name"] == message.contact.name.upper()
    sandbox.faults.patches.remove(patch)
    assert found(talk(sandbox, message), message)["contact"]["name"] == message.contact.name


def test_fields_may_be_missing_and_objects_replaced(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.patch("Message", "status", MISSING, of=message.id)
    sandbox.faults.patch("Message", "contact", "nobody")
    sandbox.faults.patch("Conversation", "pageInfo", MISSING)
    body = talk(sandbox, message)["data"]["talk"]
    assert "pageInfo" not in body
    assert {each["contact"] for each in body["messages"]} == {"nobody"}
    assert [each["key"] for each in body["messages"] if "status" not in each] == [message.id]


def test_a_patch_below_a_null_is_no_error(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.patch("Message", "body", "x")
    sandbox.faults.null_fields.add(("Message", ANY, "status"))
    assert one(sandbox, message, "body status")["data"] == {"one": None}


def test_unknown_members_may_appear(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.extra_fields = {"Message": {"emoji": ["🧱"]}, "Query": {"news": 1}, "PageInfo": {"pages": 3}}
    data = talk(sandbox, message)["data"]
    assert data["news"] == 1
    assert data["talk"]["pageInfo"]["pages"] == 3
    assert all(each["emoji"] == ["🧱"] for each in data["talk"]["messages"])


def test_ids_may_be_numbers(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.integer_ids = True
    shown = found(talk(sandbox, message), message)
    assert shown["contact"]["id"] == int(message.contact.id)
    assert shown["key"] == message.id


def test_media_may_be_nested(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.nested_media = True
    assert found(talk(sandbox, message), message)["media"] == [message.media]


def test_times_may_be_coarse_so_that_all_are_tied(sandbox: Sandbox, message: Message) -> None:
    sandbox.faults.coarse_times = timedelta(hours=1)
    sent = found(talk(sandbox, message), message)["sent"]
    assert sent == message.sent_at.strftime("%Y-%m-%dT%H:00:00.000000Z")
    sandbox.faults.coarse_times = timedelta(days=100_000)
    items = ask(sandbox, INBOX, **{"from": message.account.primary_phone})["data"]["inbox"]["items"]
    assert len({item["lastMessageTime"] for item in items}) == 1


# --- the token ------------------------------------------------------------------------------------------------


def test_a_revoked_token_may_be_a_401_or_an_error_with_200(sandbox: Sandbox) -> None:
    refusal = {"errors": [{"message": "Unauthorized", "extensions": {"code": "UNAUTHENTICATED"}}]}
    sandbox.faults.revoked = "401"
    assert http(sandbox.url, b'{"query": "{ webhooks { id } }"}', sandbox.token) == (401, refusal)
    sandbox.faults.revoked = "unauthenticated"
    assert ask(sandbox, "{ webhooks { id } }") == refusal


def test_a_revoked_token_may_look_like_mass_deletion(sandbox: Sandbox, message: Message) -> None:
    phone, to = message.account.primary_phone, message.contact.phone_number
    sandbox.faults.revoked = "empty"
    nothing = {"messages": [], "pageInfo": {"totalItems": 0, "nextPage": None, "hasNextPage": False}}
    assert example(sandbox, "conversation", to=to, **{"from": phone}) == nothing
    page = example(sandbox, "inbox", **{"from": phone})
    assert (page["account"], page["items"], page["pageInfo"]["totalItems"]) == (None, [], 0)
    assert example(sandbox, "contact", primaryPhone=phone, phoneNumber=to) is None
    assert example(sandbox, "message", id=message.id) is None
    assert example(sandbox, "webhooks") == []
    query = 'query l($phone: String!) { list(primaryPhone: $phone, listName: "All") { id } }'
    assert ask(sandbox, query, phone=phone)["data"] is None
    sandbox.faults.revoked = "null"
    assert example(sandbox, "inbox", **{"from": phone}) is None
    assert talk(sandbox, message)["data"] is None


def test_a_revoked_token_changes_nothing(sandbox: Sandbox, message: Message) -> None:
    text = 'mutation { registerWebhook(url: "https://example.com/a") { id } }'
    for manner in ("unauthenticated", "empty", "null"):
        sandbox.faults.revoked = manner
        assert not ask(sandbox, text).get("data") or ask(sandbox, text)["data"] == {"registerWebhook": None}
    assert sandbox.world.webhooks == []
