"""The eight queries over HTTP: what they answer, how they refuse, and that pages lose nothing."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from typing import Any

import phonenumbers
import pytest

from volt_pipeline.sandbox.paging import stamp
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.world import World

from .conftest import NOW, ask, example, new_world

INBOX = """query inbox($from: String!, $before: String) { inbox(from: $from, before: $before) {
  items { contact { id phoneNumber } lastMessage isUnread lastMessageTime }
  pageInfo { totalItems nextPage hasNextPage } } }"""
CONVERSATION = """query conversation($to: String!, $from: String!, $before: String) {
  conversation(to: $to, from: $from, before: $before) {
    messages { id sentAt } pageInfo { totalItems nextPage hasNextPage } } }"""


def pages(sandbox: Sandbox, query: str, root: str, **variables: Any) -> Iterator[Any]:
    before = None
    while True:
        found = ask(sandbox, query, before=before, **variables)["data"][root]
        yield found
        before = found["pageInfo"]["nextPage"]
        assert found["pageInfo"]["hasNextPage"] is (before is not None)
        if before is None:
            return


def inbox(sandbox: Sandbox, phone: str) -> list[Any]:
    return [item for page in pages(sandbox, INBOX, "inbox", **{"from": phone}) for item in page["items"]]


def talk(sandbox: Sandbox, phone: str, to: str) -> list[Any]:
    found = pages(sandbox, CONVERSATION, "conversation", to=to, **{"from": phone})
    return [message for page in found for message in page["messages"]]


def test_a_contact_answers_by_its_phone(sandbox: Sandbox, world: World) -> None:
    wanted = world.contacts[3]
    phone = wanted.account.primary_phone
    found = example(sandbox, "contact", primaryPhone=phone, phoneNumber=wanted.phone_number)
    assert (found["id"], found["name"], found["blocked"]) == (wanted.id, wanted.name, wanted.blocked)
    assert found["account"]["primaryPhone"] == phone
    assert found["createdAt"] == stamp(wanted.created_at)
    assert {"All"} <= {each["name"] for each in found["lists"]}
    assert [(each["key"], each["value"]) for each in found["customFields"]] == [
        (each.key, each.value) for each in wanted.custom_fields
    ]


def test_a_message_answers_by_either_id(sandbox: Sandbox, world: World) -> None:
    wanted = world.messages[100]
    found = example(sandbox, "message", id=wanted.id)
    assert found == example(sandbox, "legacyMessage", id=wanted.legacy_id)
    assert (found["body"], found["sentAt"]) == (wanted.body, stamp(wanted.sent_at))
    assert wanted.id.startswith("rf_")


def test_a_list_and_a_wave_answer(sandbox: Sandbox, world: World) -> None:
    phone = world.accounts[0].primary_phone
    found = example(sandbox, "list", primaryPhone=phone, listName="All")
    assert found["size"] == 40
    assert found["querySourceListName"] is None
    for wave in world.waves:
        shown = example(sandbox, "wave", id=wave.id)
        assert shown["totalMessages"] == wave.total_messages
        assert shown["scheduledTime"] == f"{wave.scheduled_at:%Y-%m-%d %H:%M:%S}"
        assert shown["account"] is None or shown["type"] == "account"
    assert example(sandbox, "webhooks") == []


@pytest.mark.parametrize(
    ("operation", "variables"),
    [
        ("contact", {"phoneNumber": "+19995550000"}),
        ("message", {"id": "rf_nothing"}),
        ("legacyMessage", {"id": ""}),
        ("wave", {"id": "1"}),
    ],
)
def test_what_is_not_there_is_a_clean_null(sandbox: Sandbox, operation: str, variables: dict[str, str]) -> None:
    if operation == "contact":
        variables = {**variables, "primaryPhone": sandbox.world.accounts[0].primary_phone}
    assert example(sandbox, operation, **variables) is None


@pytest.mark.parametrize("operation", ["contact", "inbox", "conversation", "list"])
def test_an_unknown_account_nulls_the_root_or_all_data(sandbox: Sandbox, operation: str) -> None:
    variables = {"primaryPhone": "+10", "phoneNumber": "+1", "from": "+10", "to": "+1", "listName": "All"}
    queries = {
        "contact": "query q($primaryPhone: String!, $phoneNumber: String!)"
        "{ contact(primaryPhone: $primaryPhone, phoneNumber: $phoneNumber) { id } }",
        "inbox": "query q($from: String!) { inbox(from: $from) { pageInfo { totalItems } } }",
        "conversation": "query q($from: String!, $to: String!)"
        "{ conversation(from: $from, to: $to) { pageInfo { totalItems } } }",
        "list": "query q($primaryPhone: String!, $listName: String!)"
        "{ list(primaryPhone: $primaryPhone, listName: $listName) { id } }",
    }
    body = ask(sandbox, queries[operation], **variables)
    assert body["errors"][0]["message"] == "Account not found"
    assert body["errors"][0]["extensions"] == {"code": "NOT_FOUND"}
    assert body["data"] == ({operation: None} if operation in ("contact", "inbox") else None)


def test_one_failing_alias_nulls_all_conversations(sandbox: Sandbox, world: World) -> None:
    contact = world.contacts[0]
    phone = contact.account.primary_phone
    body = ask(
        sandbox,
        f'{{ a: conversation(from: "{phone}", to: "{contact.phone_number}") {{ messages {{ id }} }}'
        f'   b: conversation(from: "{phone}", to: "+19995550000") {{ messages {{ id }} }} }}',
    )
    assert body["data"] is None
    assert body["errors"][0]["path"] == ["b"]
    assert body["errors"][0]["message"] == "Contact not found"


def test_twenty_five_aliased_conversations_answer(sandbox: Sandbox, world: World) -> None:
    contacts = [contact for contact in world.contacts if contact.account is world.accounts[0]][:25]
    aliases = " ".join(
        f'c{number}: conversation(from: "{contact.account.primary_phone}", to: "{contact.phone_number}")'
        "{ pageInfo { totalItems } }"
        for number, contact in enumerate(contacts)
    )
    data = ask(sandbox, f"{{ {aliases} }}")["data"]
    totals = [data[f"c{number}"]["pageInfo"]["totalItems"] for number in range(25)]
    assert totals == [len(world.ledger.conversations[contact.id]) for contact in contacts]
    assert sandbox.requests[-1].root_fields == ["conversation"] * 25


def test_an_unknown_list_is_an_error(sandbox: Sandbox, world: World) -> None:
    phone = world.accounts[0].primary_phone
    body = ask(sandbox, f'{{ list(primaryPhone: "{phone}", listName: "Nope") {{ id }} }}')
    assert body["data"] is None
    assert (body["errors"][0]["message"], body["errors"][0]["extensions"]["code"]) == ("List not found", "NOT_FOUND")


def test_walking_every_inbox_and_conversation_reads_the_whole_world_once(sandbox: Sandbox, world: World) -> None:
    read: Counter[str] = Counter()
    items = 0
    for account in world.accounts:
        found = inbox(sandbox, account.primary_phone)
        items += len(found)
        times = [item["lastMessageTime"] for item in found]
        assert times == sorted(times, reverse=True)
        for item in found:
            if item["contact"] is None:
                continue
            messages = talk(sandbox, account.primary_phone, item["contact"]["phoneNumber"])
            assert len({message["id"] for message in messages}) == len(messages)
            assert messages[0]["sentAt"] == item["lastMessageTime"]
            read.update(message["id"] for message in messages)
    counts = world.expected_counts()
    assert items == counts["inbox_items"] == counts["contacts"] + 1
    assert len(read) == counts["messages"] == len(world.messages)
    assert [count for count in read.values() if count > 1] == [2]  # the text from one of our stores to another


@pytest.mark.parametrize("page", [1, 2, 7, 25])
def test_ties_lie_across_the_first_pages_edge_and_are_walked_once(page: int) -> None:
    world = new_world(inbox_page=page, conversation_page=page)
    with running(world) as sandbox:
        for account in world.accounts:
            found = inbox(sandbox, account.primary_phone)
            identities = [item["contact"] and item["contact"]["id"] for item in found]
            assert sorted(identities, key=str) == sorted(
                (contact and contact.id for contact in _shown(world, account.id)), key=str
            )
            assert found[page - 1]["lastMessageTime"] == found[page]["lastMessageTime"]


def _shown(world: World, account_id: str) -> list[Any]:
    return [entry[2].contact for entry in world.ledger.inboxes[account_id].entries]


def test_conversations_hold_exact_ties_and_are_read_newest_first(sandbox: Sandbox, world: World) -> None:
    contact = max(world.contacts, key=lambda each: len(world.ledger.conversations[each.id]))
    messages = talk(sandbox, contact.account.primary_phone, contact.phone_number)
    order = [(message["sentAt"], message["id"]) for message in messages]
    assert len(messages) > 150
    assert order == sorted(order, reverse=True)
    assert len({message["sentAt"] for message in messages}) < len(messages)


def test_what_arrives_during_a_walk_neither_hides_nor_repeats_older_items(sandbox: Sandbox, world: World) -> None:
    contact = max(world.contacts, key=lambda each: len(world.ledger.conversations[each.id]))
    before = [message.id for _, _, message in reversed(world.ledger.conversations[contact.id])]
    walk = pages(
        sandbox, CONVERSATION, "conversation", to=contact.phone_number, **{"from": contact.account.primary_phone}
    )
    read = [message["id"] for message in next(walk)["messages"]]
    world.move(1.0, NOW)
    read += [message["id"] for page in walk for message in page["messages"]]
    assert read == before


@pytest.mark.parametrize("cursor", ["", "%%", "nonsense", base64.b64encode(b"12:").decode(), "MTI="])
def test_a_bad_cursor_is_an_error(sandbox: Sandbox, world: World, cursor: str) -> None:
    body = ask(sandbox, INBOX, before=cursor, **{"from": world.accounts[0].primary_phone})
    assert body["data"] == {"inbox": None}
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_phones_are_unique_and_possible_us_numbers() -> None:
    world = new_world(accounts=14, contacts=60)
    phones = [contact.phone_number for contact in world.contacts if world.ledger.colleague(contact) is None]
    primary = [account.primary_phone for account in world.accounts]
    pools = [phone for account in world.accounts for phone in account.pool]
    everyone = phones + primary + pools
    assert len(set(everyone)) == len(everyone)
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(phone)) for phone in everyone)
