"""The seven mutations over HTTP: they change the world, and change nothing where they refuse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.world import World

from .conftest import EXAMPLES, ask, dump, example, new_world


def refusal(sandbox: Sandbox, operation: str, **variables: Any) -> tuple[str, str]:
    before = dump(sandbox.world)
    body = ask(sandbox, EXAMPLES, operation, **variables)
    assert dump(sandbox.world) == before
    error = body["errors"][0]
    return error["extensions"]["code"], error["message"]


def save_contact(sandbox: Sandbox, phone: str, fields: dict[str, str], **changes: Any) -> Any:
    values: dict[str, Any] = {
        "name": "Wile E. Coyote",
        "phoneNumber": phone,
        "accountPhone": sandbox.world.accounts[0].primary_phone,
        "customFields": [{"key": key, "value": value} for key, value in fields.items()],
        "blocked": False,
    }
    return example(sandbox, "createOrUpdateContact", **{**values, **changes})


def save_list(sandbox: Sandbox, **query: Any) -> Any:
    phone = sandbox.world.accounts[0].primary_phone
    return example(sandbox, "createOrUpdateList", primaryPhone=phone, listQuery=query)


def rule(field: str, operator: str, value: str) -> dict[str, str]:
    return {"field": field, "operator": operator, "queryValue": value}


def test_a_new_message_is_sending_and_settles_by_ticks(sandbox: Sandbox, world: World) -> None:
    contact = next(each for each in world.contacts if not each.blocked)
    phone = contact.account.primary_phone
    media = ["https://example.com/thanks.png"]
    sent = example(sandbox, "createMessage", to=contact.phone_number, body="Thanks!", media=media, **{"from": phone})
    assert (sent["status"], sent["legacyId"], sent["confirmedAt"]) == ("sending", "", "")
    assert (sent["media"], sent["contact"]["id"], sent["wave"]) == (media, contact.id, None)
    found = example(sandbox, "inbox", **{"from": phone})["items"][0]
    assert (found["contact"]["id"], found["lastMessage"], found["isUnread"]) == (contact.id, "Thanks!", False)
    for _ in range(40):
        world.tick(world.clock())
    settled = example(sandbox, "message", id=sent["id"])
    assert settled["status"] in ("delivered", "failed")
    assert settled["legacyId"]
    assert settled["confirmedAt"] > settled["sentAt"]


def test_a_pooled_contact_is_texted_from_its_mapped_number(sandbox: Sandbox, world: World) -> None:
    contact = next(each for each in world.contacts if each.mapped_number)
    sent = example(
        sandbox, "createMessage", to=contact.phone_number, body="hi", **{"from": contact.account.primary_phone}
    )
    assert sent["fromNumber"] == contact.mapped_number != contact.account.primary_phone


def test_a_message_to_a_stranger_makes_a_contact(sandbox: Sandbox, world: World) -> None:
    phone = world.accounts[0].primary_phone
    before = world.expected_counts()
    sent = example(sandbox, "createMessage", to="+19185559999", body="hi", **{"from": phone})
    assert sent["contact"]["phoneNumber"] == "+19185559999"
    assert world.expected_counts()["contacts"] == before["contacts"] + 1


def test_a_text_between_our_stores_is_one_message_in_two_conversations(sandbox: Sandbox, world: World) -> None:
    ours, theirs = (account.primary_phone for account in world.accounts)
    sent = example(sandbox, "createMessage", to=theirs, body="Two pallets?", **{"from": ours})
    for to, from_ in ((theirs, ours), (ours, theirs)):
        newest = example(sandbox, "conversation", to=to, **{"from": from_})["messages"][0]
        assert (newest["id"], newest["account"]["primaryPhone"]) == (sent["id"], ours)


def test_messages_to_the_opted_out_fail(sandbox: Sandbox, world: World) -> None:
    contact = next(each for each in world.contacts if each.blocked)
    sent = example(
        sandbox, "createMessage", to=contact.phone_number, body="hi", **{"from": contact.account.primary_phone}
    )
    world.settle(world.clock())
    assert example(sandbox, "message", id=sent["id"])["statusDescription"] == "Recipient has opted out"


def test_contacts_are_made_and_their_fields_merged(sandbox: Sandbox) -> None:
    made = save_contact(sandbox, "+19185559998", {"species": "Canis latrans", "purchases": "7"})
    assert made["customFields"] == [
        {"key": "species", "type": "string", "value": "Canis latrans"},
        {"key": "purchases", "type": "number", "value": "7"},
    ]
    again = save_contact(sandbox, "+19185559998", {"purchases": "8"}, blocked=True, name="W. Coyote")
    assert (again["id"], again["blocked"], again["name"]) == (made["id"], True, "W. Coyote")
    assert {each["key"]: each["value"] for each in again["customFields"]} == {
        "species": "Canis latrans",
        "purchases": "8",
    }
    assert save_contact(sandbox, "+19185559998", {})["blocked"] is False


def test_contact_fields_are_replaced_where_the_world_says_so() -> None:
    with running(new_world(custom_fields_mode="replace")) as sandbox:
        save_contact(sandbox, "+19185559998", {"species": "Canis latrans", "purchases": "7"})
        again = save_contact(sandbox, "+19185559998", {"purchases": "8"})
        assert [each["key"] for each in again["customFields"]] == ["purchases"]


def test_a_contact_moves_between_lists_as_its_fields_change(sandbox: Sandbox, world: World) -> None:
    save_list(sandbox, listName="Heavy", queryCustomFields=[rule("purchases", "gt", "1000")])
    made = save_contact(sandbox, "+19185559998", {"purchases": "1001"})
    assert {each["name"] for each in made["lists"]} == {"All", "Heavy"}
    again = save_contact(sandbox, "+19185559998", {"purchases": "999"})
    assert "Heavy" not in {each["name"] for each in again["lists"]}
    phone = world.accounts[0].primary_phone
    assert example(sandbox, "list", primaryPhone=phone, listName="Heavy")["size"] == 0


def test_a_list_without_a_source_is_built_on_all_and_keeps_its_id(sandbox: Sandbox, world: World) -> None:
    made = save_list(sandbox, listName="New", queryNameSearchTerm="a")
    names = [each.name for each in world.contacts if each.account is world.accounts[0]]
    assert (made["querySourceListName"], made["queryNameSearchTerm"]) == ("All", "a")
    assert made["size"] == sum("a" in name.casefold() for name in names)
    again = save_list(
        sandbox, listName="New", querySourceListName="Contractors", queryCustomFields=[rule("project", "is", '"Patio"')]
    )
    assert again["id"] == made["id"]
    assert (again["querySourceListName"], again["queryNameSearchTerm"]) == ("Contractors", None)


def test_bad_contacts_and_messages_are_refused(sandbox: Sandbox, world: World) -> None:
    phone = world.accounts[0].primary_phone
    contact = {"name": "X", "accountPhone": phone, "customFields": [], "blocked": False}
    bad = ("BAD_USER_INPUT", "phoneNumber is not a valid phone number")
    for number in ("918-555-0101", "+0185550101", "+1", "+1918555010a", "19185550101"):
        assert refusal(sandbox, "createOrUpdateContact", **{**contact, "phoneNumber": number}) == bad
        code, _ = refusal(sandbox, "createMessage", to=number, body="hi", **{"from": phone})
        assert code == "BAD_USER_INPUT"
    unknown = {**contact, "phoneNumber": "+19185550177", "accountPhone": "+10"}
    assert refusal(sandbox, "createOrUpdateContact", **unknown) == ("NOT_FOUND", "Account not found")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"listName": "X", "querySourceListName": "Nope"}, "NOT_FOUND"),
        ({"listName": "X", "querySourceListName": "X"}, "BAD_USER_INPUT"),
        ({"listName": "Contractors", "querySourceListName": "Big Contractors"}, "BAD_USER_INPUT"),
        ({"listName": "All"}, "BAD_USER_INPUT"),
        ({"listName": "X", "queryCustomFields": [rule("shoe_size", "gt", "5")]}, "BAD_USER_INPUT"),
        ({"listName": "X", "queryCustomFields": [rule("purchases", "gt", '"many"')]}, "BAD_USER_INPUT"),
        ({"listName": "X", "queryCustomFields": [rule("purchases", "gt", "{")]}, "BAD_USER_INPUT"),
        ({"listName": "X", "queryCustomFields": [rule("last_purchase", "bf", '"soon"')]}, "BAD_USER_INPUT"),
    ],
)
def test_bad_lists_are_refused(sandbox: Sandbox, query: dict[str, Any], code: str) -> None:
    if query.get("querySourceListName") == "X":
        save_list(sandbox, listName="X")
    phone = sandbox.world.accounts[0].primary_phone
    found, _ = refusal(sandbox, "createOrUpdateList", primaryPhone=phone, listQuery=query)
    assert found == code


def test_webhooks_are_registered_listed_and_deleted(sandbox: Sandbox) -> None:
    made = example(sandbox, "registerWebhook", url="https://example.com/webhook")
    assert example(sandbox, "webhooks") == [made]
    assert example(sandbox, "deleteWebhook", id=made["id"]) == made
    assert example(sandbox, "webhooks") == []
    assert example(sandbox, "deleteWebhook", id=made["id"]) is None
    assert refusal(sandbox, "registerWebhook", url="example")[0] == "BAD_USER_INPUT"


def when(world: World, hours: int) -> str:
    return f"{world.clock() + timedelta(hours=hours):%Y-%m-%d %H:%M:%S}"


def test_a_scheduled_message_is_sent_when_due(sandbox: Sandbox, world: World) -> None:
    contact = next(each for each in world.contacts if not each.blocked)
    job = {
        "scheduledTime": when(world, 1),
        "messageBody": "Hi {contact.first_name}",
        "contactNumbers": [contact.phone_number],
    }
    phone = contact.account.primary_phone
    made = example(sandbox, "scheduleMessage", primaryPhone=phone, message=job)
    assert (made["type"], made["lists"], made["scheduledTime"]) == ("contact", None, job["scheduledTime"])
    world.tick(world.clock())
    assert example(sandbox, "wave", id=made["id"])["totalMessages"] == 0
    world.tick(world.clock() + timedelta(hours=1))
    world.settle(world.clock() + timedelta(hours=1))
    sent = example(sandbox, "wave", id=made["id"])
    assert sent["totalMessages"] == sent["totalMessagesDelivered"] + sent["totalMessagesFailed"] == 1
    newest = example(sandbox, "conversation", to=contact.phone_number, **{"from": phone})["messages"]
    assert made["id"] in {message["wave"] and message["wave"]["id"] for message in newest[:2]}


def test_waves_reach_accounts_or_the_organization_and_drafts_reach_nobody(sandbox: Sandbox, world: World) -> None:
    job = {
        "waveName": "Sale",
        "scheduledTime": when(world, 0),
        "messageBody": "Hi",
        "listNames": ["All"],
        "media": [None],
    }
    one = {"type": "account", "primaryPhone": world.accounts[0].primary_phone, "wave": job}
    account = example(sandbox, "scheduleWave", status="scheduled", **one)
    draft = example(sandbox, "scheduleWave", status="draft", **one)
    everyone = example(sandbox, "scheduleWave", type="organization", status="scheduled", wave=job)
    assert (account["type"], everyone["type"], everyone["account"]) == ("account", "group", None)
    reachable = [each for each in world.contacts if not each.blocked and world.ledger.colleague(each) is None]
    world.tick(world.clock() + timedelta(seconds=1))
    totals = [example(sandbox, "wave", id=each["id"])["totalMessages"] for each in (account, draft, everyone)]
    assert totals == [sum(each.account is world.accounts[0] for each in reachable), 0, len(reachable)]
    assert {each["account"]["id"] for each in everyone["lists"]} == {each.id for each in world.accounts}


@pytest.mark.parametrize("time", ["tomorrow", "2030-01-01", "2030-01-01T10:00:00", "2030-13-01 10:00:00", ""])
def test_a_badly_written_time_is_refused(sandbox: Sandbox, time: str) -> None:
    job = {"waveName": "Sale", "scheduledTime": time, "messageBody": "Hi", "listNames": ["All"]}
    code, _ = refusal(sandbox, "scheduleWave", type="organization", status="scheduled", wave=job)
    assert code == "BAD_USER_INPUT"


def test_waves_to_nowhere_are_refused(sandbox: Sandbox, world: World) -> None:
    job = {"waveName": "Sale", "scheduledTime": when(world, 0), "messageBody": "Hi", "listNames": ["Nope"]}
    phone = world.accounts[0].primary_phone
    asked: dict[str, Any] = {"status": "scheduled", "wave": job}
    not_found = ("NOT_FOUND", "List not found")
    assert refusal(sandbox, "scheduleWave", type="account", primaryPhone=phone, **asked) == not_found
    assert refusal(sandbox, "scheduleWave", type="organization", **asked) == not_found
    assert refusal(sandbox, "scheduleWave", type="account", **asked)[0] == "BAD_USER_INPUT"
