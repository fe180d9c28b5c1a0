"""Disappearance and silent change: the world stays consistent with itself, and a journal keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from volt_pipeline.sandbox.entities import Contact, Message
from volt_pipeline.sandbox.server import Sandbox
from volt_pipeline.sandbox.world import World

from .conftest import NOW, dump, example, new_world
from .test_reads import inbox, talk
from .test_world import consistent


@pytest.fixture
def contact(world: World) -> Contact:
    """Somebody with a long conversation, on a static list."""
    on = {identity for each in world.lists for identity in each.members or ()}
    mine = [each for each in world.contacts if each.id in on and world.ledger.colleague(each) is None]
    return max(mine, key=lambda each: len(world.ledger.conversations[each.id]))


def messages_of(world: World, contact: Contact) -> list[Message]:
    return [message for _, _, message in world.ledger.conversations[contact.id]]


def show(sandbox: Sandbox, contact: Contact) -> Any:
    return example(sandbox, "contact", primaryPhone=contact.account.primary_phone, phoneNumber=contact.phone_number)


def phones(sandbox: Sandbox, contact: Contact) -> list[str | None]:
    items = inbox(sandbox, contact.account.primary_phone)
    return [item["contact"] and item["contact"]["phoneNumber"] for item in items]


def test_somebody_writes_and_is_on_top(sandbox: Sandbox, world: World, contact: Contact) -> None:
    message = world.hear(contact, "STOP")
    assert phones(sandbox, contact)[0] == contact.phone_number
    assert example(sandbox, "message", id=message.id)["body"] == "STOP"
    assert show(sandbox, contact)["blocked"] is True
    consistent(world)


def test_a_message_disappears(sandbox: Sandbox, world: World, contact: Contact) -> None:
    *_, before, last = messages_of(world, contact)
    count = len(messages_of(world, contact))
    world.forget_message(last)
    assert example(sandbox, "message", id=last.id) is None
    assert example(sandbox, "legacyMessage", id=last.legacy_id or "none") is None
    read = talk(sandbox, contact.account.primary_phone, contact.phone_number)
    assert (len(read), read[0]["id"]) == (count - 1, before.id)
    key = contact.account.id, contact.phone_number
    assert world.snapshot()["inbox"][key][1] == before.body
    consistent(world)


def test_the_last_message_takes_the_inbox_item_along(sandbox: Sandbox, world: World, contact: Contact) -> None:
    for message in messages_of(world, contact):
        world.forget_message(message)
    assert contact.phone_number not in phones(sandbox, contact)
    assert show(sandbox, contact)["id"] == contact.id
    assert talk(sandbox, contact.account.primary_phone, contact.phone_number) == []
    assert contact.id not in world.snapshot()["contacts"]
    assert contact.id in world.snapshot(everything=True)["contacts"]
    consistent(world)


def test_a_wave_message_leaves_the_waves_totals(world: World) -> None:
    sent = next(each for each in world.messages if each.wave and each.status == "delivered")
    assert sent.wave is not None
    total, delivered = sent.wave.total_messages, sent.wave.total_messages_delivered
    world.forget_message(sent)
    assert (sent.wave.total_messages, sent.wave.total_messages_delivered) == (total - 1, delivered - 1)
    consistent(world)


def test_a_contact_disappears_with_its_conversation(sandbox: Sandbox, world: World, contact: Contact) -> None:
    messages, size = messages_of(world, contact), len(phones(sandbox, contact))
    everyone = example(sandbox, "list", primaryPhone=contact.account.primary_phone, listName="All")["size"]
    world.forget_contact(contact)
    assert show(sandbox, contact) is None
    assert len(phones(sandbox, contact)) == size - 1
    assert example(sandbox, "message", id=messages[0].id) is None
    assert example(sandbox, "list", primaryPhone=contact.account.primary_phone, listName="All")["size"] == everyone - 1
    assert contact.id not in world.snapshot(everything=True)["contacts"]
    consistent(world)


def test_a_contact_may_leave_messages_and_an_inbox_item_behind(
    sandbox: Sandbox, world: World, contact: Contact
) -> None:
    messages, before = messages_of(world, contact), inbox(sandbox, contact.account.primary_phone)
    world.forget_contact(contact, keep_messages=True, keep_inbox_item=True)
    after = inbox(sandbox, contact.account.primary_phone)
    place = [item["contact"] and item["contact"]["id"] for item in before].index(contact.id)
    assert after[place] == {**before[place], "contact": None}
    assert len(after) == len(before)
    assert example(sandbox, "message", id=messages[0].id)["contact"] is None
    assert messages[0].id not in world.snapshot()["messages"]
    kept = world.snapshot(everything=True)["messages"][messages[0].id]
    assert (kept["contact_id"], kept["body"]) == (None, messages[0].body)
    world.settle(NOW)
    world.tick(NOW)


def test_a_wave_disappears_and_its_messages_name_none(sandbox: Sandbox, world: World) -> None:
    sent = next(each for each in world.messages if each.wave)
    wave = sent.wave
    assert wave is not None
    world.forget_wave(wave)
    assert example(sandbox, "wave", id=wave.id) is None
    assert example(sandbox, "message", id=sent.id)["wave"] is None
    assert wave.id not in world.snapshot(everything=True)["waves"]


def test_a_list_disappears_and_is_renamed(sandbox: Sandbox, world: World) -> None:
    phone = world.accounts[0].primary_phone
    by_name = {each.name: each for each in world.lists if each.account is world.accounts[0]}
    world.rename_list(by_name["Contractors"], "Builders")
    found = example(sandbox, "list", primaryPhone=phone, listName="Builders")
    assert found["id"] == by_name["Contractors"].id
    assert example(sandbox, "list", primaryPhone=phone, listName="Big Contractors")["querySourceListName"] == "Builders"
    consistent(world)
    world.forget_list(by_name["Contractors"])
    assert example(sandbox, "list", primaryPhone=phone, listName="Big Contractors")["querySourceListName"] == "All"
    snapshot = world.snapshot(everything=True)
    assert found["id"] not in snapshot["lists"]
    assert not [pair for pair in snapshot["memberships"] | snapshot["wave_lists"] if pair[1] == found["id"]]
    consistent(world)


def test_a_contact_returns_under_a_new_id(sandbox: Sandbox, world: World, contact: Contact) -> None:
    before, order = talk(sandbox, contact.account.primary_phone, contact.phone_number), phones(sandbox, contact)
    lists = {each.id for each in world.lists_of(contact)}
    again = world.recreate_contact(contact)
    assert show(sandbox, contact)["id"] == again.id != contact.id
    assert {each["id"] for each in show(sandbox, contact)["lists"]} == lists
    assert talk(sandbox, contact.account.primary_phone, contact.phone_number) == before
    assert phones(sandbox, contact) == order
    assert example(sandbox, "message", id=before[0]["id"])["contact"]["id"] == again.id
    assert contact.id not in world.snapshot(everything=True)["contacts"]
    consistent(world)


def test_a_contact_changes_without_any_message(sandbox: Sandbox, world: World, contact: Contact) -> None:
    order, before = phones(sandbox, contact), show(sandbox, contact)
    world.change_contact(contact, name="Zoë Smith", custom_fields={"shoe": "9"}, blocked=True, touch=False)
    after = show(sandbox, contact)
    assert (after["name"], after["blocked"]) == ("Zoë Smith", True)
    assert after["customFields"] == [{"key": "shoe", "type": "string", "value": "9"}]
    assert {each["name"] for each in after["lists"]} >= {"All", "The Smiths"}
    assert after["lastUpdatedAt"] == before["lastUpdatedAt"]
    assert phones(sandbox, contact) == order
    world.change_contact(contact, phone_number="+19185550001", mapped_number="+19185550002")
    after = show(sandbox, contact)
    assert (after["mappedNumber"], after["lastUpdatedAt"] > before["lastUpdatedAt"]) == ("+19185550002", True)
    assert talk(sandbox, contact.account.primary_phone, "+19185550001")
    world.change_contact(contact, mapped_number="")
    assert show(sandbox, contact)["mappedNumber"] is None
    consistent(world)


def test_members_come_and_go(sandbox: Sandbox, world: World, contact: Contact) -> None:
    static = next(each for each in world.lists_of(contact) if each.members is not None)
    other = next(
        each for each in world.contacts if each.account is contact.account and static not in world.lists_of(each)
    )
    size = world.size(static)
    world.change_members(static, join=[other], leave=[contact])
    assert static.name not in {each["name"] for each in show(sandbox, contact)["lists"]}
    assert static.name in {each["name"] for each in show(sandbox, other)["lists"]}
    assert world.size(static) == size
    consistent(world)


def test_read_flags_flip_below_the_first_page(sandbox: Sandbox, world: World) -> None:
    phone = world.accounts[0].primary_phone
    before = inbox(sandbox, phone)
    low = before[world.inbox_page + 3]
    world.flip_read(world.ledger.rosters[world.accounts[0].id].contacts[low["contact"]["id"]])
    changed = [old for old, new in zip(before, inbox(sandbox, phone), strict=True) if old != new]
    assert changed == [low]


def test_what_is_not_there_is_refused_and_changes_nothing(world: World, contact: Contact) -> None:
    static = next(each for each in world.lists if each.members is not None)
    everyone, ruled = world.lists[0], next(each for each in world.lists if each.name == "Contractors")
    stranger = next(each for each in world.contacts if each.account is not static.account)
    message = messages_of(world, contact)[0]
    world.forget_contact(contact)
    before = dump(world)
    changes: list[Callable[[], object]] = [
        lambda: world.forget_contact(contact),
        lambda: world.forget_message(message),
        lambda: world.hear(contact, "hi"),
        lambda: world.forget_list(everyone),
        lambda: world.rename_list(static, "Contractors"),
        lambda: world.change_members(ruled, leave=[stranger]),
        lambda: world.change_members(static, join=[stranger]),
        lambda: world.change_contact(stranger, phone_number=stranger.phone_number),
    ]
    for change in changes:
        with pytest.raises(ValueError, match=r"there is no|already|no static list|cannot have"):
            change()
    assert dump(world) == before


def meddle(world: World, rng: Random) -> None:
    """One intervention, whichever."""
    contact, message = rng.choice(world.contacts), rng.choice(world.messages)
    lists = [each for each in world.lists if each.name != "All"]
    static = [each for each in lists if each.members is not None]
    waves = world.waves
    mate = [each for each in world.contacts if each.account is static[0].account]
    acts: list[Callable[[], object]] = [
        lambda: world.hear(contact, rng.choice(["hi", "STOP", "START"])),
        lambda: world.forget_message(message),
        lambda: world.forget_contact(contact, keep_inbox_item=rng.random() < 0.5),
        lambda: world.recreate_contact(contact),
        lambda: world.change_contact(contact, name=f"N{rng.random()}", custom_fields={"purchases": "9"}, blocked=True),
        lambda: world.change_members(static[0], join=mate[:3], leave=mate[3:5]),
        lambda: world.rename_list(rng.choice(lists), f"L{rng.random()}"),
        lambda: world.tick(world.clock()),
        lambda: world.move(0.05, world.clock()),
    ]
    if len(waves) > 2:
        acts.append(lambda: world.forget_wave(rng.choice(waves)))
    if len(static) > 1:
        acts.append(lambda: world.forget_list(static[-1]))
    rng.choice(acts)()


@pytest.mark.parametrize("seed", range(4))
def test_any_interventions_leave_a_consistent_world_that_a_journal_rebuilds(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "world.jsonl"
    world, rng = new_world(journal=path, contacts=15), Random(seed)
    for number in range(150):
        meddle(world, rng)
        if number % 10 == 0:
            consistent(world)
    consistent(world)
    again = new_world(journal=path, contacts=15, now=NOW + timedelta(days=1))
    assert dump(again) == dump(world)
    assert again.snapshot() == world.snapshot()
