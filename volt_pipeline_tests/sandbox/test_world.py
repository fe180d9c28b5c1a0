"""The invented world: reproducible, consistent with its own totals, and moving as it is told to."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime, timedelta

import pytest

from volt_pipeline.sandbox.entities import FINAL_STATUSES
from volt_pipeline.sandbox.world import World

from .conftest import NOW, dump, new_world


def test_the_same_seed_gives_the_same_world_and_another_gives_another() -> None:
    first, second = new_world(), new_world()
    for world in (first, second):
        for minute in range(50):
            world.tick(NOW + timedelta(minutes=minute))
        world.move(0.1, NOW + timedelta(hours=2))
        world.settle(NOW + timedelta(hours=3))
    assert dump(first) == dump(second)
    assert dump(new_world(seed=2)) != dump(new_world())


def test_the_world_has_what_a_pipeline_must_survive() -> None:
    world = World.create(now=NOW)
    messages = world.messages
    statuses = {message.status for message in messages}
    assert statuses == {"received", "sending", "sent", "delivered", "failed"}
    assert any(contact.mapped_number for contact in world.contacts)
    assert any(contact.blocked for contact in world.contacts)
    assert {field.type for contact in world.contacts for field in contact.custom_fields} == {
        "string",
        "number",
        "date",
        "boolean",
    }
    assert any(message.organization is None for message in messages)
    assert any(message.media for message in messages)
    assert any(not message.body for message in messages)
    assert any(wave.account is None for wave in world.waves)
    operators = {rule.operator for each in world.lists for rule in each.query_custom_fields or ()}
    assert operators == {"gt", "gte", "lt", "lte", "eq", "neq", "bf", "af", "is", "has", "nc"}
    lengths = [len(talk) for talk in world.ledger.conversations.values()]
    assert min(lengths) == 1
    assert max(lengths) >= 190
    assert 12 < sum(lengths) / len(lengths) < 30
    erased = [entry for inbox in world.ledger.inboxes.values() for entry in inbox.entries if entry[2].contact is None]
    assert len(erased) == 1


@pytest.mark.parametrize("contacts", [1, 2, 3, 30])
@pytest.mark.parametrize("accounts", [1, 2, 13])
def test_worlds_of_any_size_are_made_and_move(accounts: int, contacts: int) -> None:
    world = World.create(now=NOW, accounts=accounts, contacts=contacts, seed=7)
    assert len(world.accounts) == accounts
    assert len(world.contacts) == accounts * contacts
    assert world.expected_counts()["contacts"] == accounts * contacts
    for _ in range(20):
        world.tick(NOW)
    world.move(1.0, NOW)
    world.settle(NOW)
    consistent(world)


def consistent(world: World) -> None:
    ledger = world.ledger
    for contact in world.contacts:
        talk = ledger.conversations[contact.id]
        assert [entry[:2] for entry in talk] == sorted(entry[:2] for entry in talk)
        item = ledger.inboxes[contact.account.id].item_of.get(contact.id)
        assert (item is None) == (not talk)
        if item is not None:
            assert (item.last_message_time, item.last_message) == (talk[-1][0], talk[-1][2].body)
    for inbox in ledger.inboxes.values():
        assert [entry[:2] for entry in inbox.entries] == sorted(entry[:2] for entry in inbox.entries)
        assert len(inbox.entries) == len(inbox.item_of)
    for wave in world.waves:
        counted = Counter(message.status for message in world.messages if message.wave is wave)
        assert wave.total_messages == sum(counted.values())
        assert (wave.total_messages_delivered, wave.total_messages_failed) == (counted["delivered"], counted["failed"])
    for each in world.lists:
        roster = ledger.rosters[each.account.id]
        assert roster.size(each) == sum(roster.holds(each, contact) for contact in roster.contacts.values())
        assert roster.size(each) == len(roster.members(each))
    assert set(ledger.pending) == {message.id for message in world.messages if message.status not in FINAL_STATUSES}
    for message in world.messages:
        assert message.is_final == (message.confirmed_at is not None)
        assert (message.legacy_id == "") == (message.status == "sending")
        assert message.confirmed_at is None or message.confirmed_at >= message.sent_at


def test_inboxes_waves_and_lists_agree_with_the_messages_after_many_movements() -> None:
    world = new_world()
    consistent(world)
    for minute in range(300):
        world.tick(NOW + timedelta(minutes=minute))
    consistent(world)


def test_nothing_lies_in_the_future() -> None:
    world = World.create(now=NOW)
    assert max(message.sent_at for message in world.messages) <= NOW
    assert max(message.confirmed_at or NOW for message in world.messages) <= NOW
    assert max(contact.last_updated_at for contact in world.contacts) <= NOW


@pytest.mark.parametrize("share", [0.01, 0.3, 0.0001])
def test_a_move_writes_one_message_in_its_share_of_conversations(share: float) -> None:
    world = World.create(now=NOW)
    before = {key: len(talk) for key, talk in world.ledger.conversations.items()}
    moved = world.move(share, NOW + timedelta(minutes=1))
    grown = {
        key: len(talk) - before[key] for key, talk in world.ledger.conversations.items() if len(talk) > before[key]
    }
    assert set(grown.values()) == {1}
    assert len(grown) == len(moved) == max(1, math.ceil(share * len(before)))
    assert {message.contact.id for message in moved} == set(grown)


def test_settling_leaves_nothing_pending() -> None:
    world = new_world()
    world.move(0.5, NOW)
    assert world.ledger.pending
    world.settle(NOW)
    assert not world.ledger.pending
    assert {message.status for message in world.messages} == {"received", "delivered", "failed"}
    consistent(world)


def test_ticks_settle_texts_and_write_new_ones() -> None:
    world = new_world()
    pending, written = set(world.ledger.pending), len(world.messages)
    for second in range(60):
        world.tick(NOW + timedelta(seconds=second))
    assert not pending & set(world.ledger.pending)
    assert len(world.messages) > written


def test_time_never_runs_backwards() -> None:
    world = new_world()
    world.move(0.2, NOW)
    newest = max(message.sent_at for message in world.messages)
    moved = world.move(0.2, NOW - timedelta(days=1))
    assert min(message.sent_at for message in moved) > newest


def test_the_clock_starts_at_now_and_runs_on() -> None:
    world = new_world()
    assert NOW <= world.clock() < NOW + timedelta(minutes=1)


def test_a_naive_now_and_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        new_world(now=datetime(2025, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="accounts"):
        new_world(accounts=0)
    with pytest.raises(ValueError, match="custom_fields_mode"):
        new_world(custom_fields_mode="both")


def test_a_contact_without_messages_is_not_expected_in_a_warehouse() -> None:
    world = new_world()
    before = world.expected_counts()
    contact = {"name": "X", "phone_number": "+19185559998", "account_phone": world.accounts[0].primary_phone}
    world.mutate("createOrUpdateContact", {**contact, "custom_fields": [], "blocked": False})
    world.mutate(
        "createOrUpdateList",
        {
            "primary_phone": world.accounts[0].primary_phone,
            "list_query": {"list_name": "Nobody", "query_name_search_term": "Nobody at all"},
        },
    )
    assert world.expected_counts() == before
