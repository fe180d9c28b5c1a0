"""Nulls where Volt promises none, and objects whose resolvers fail: one bad row costs one row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from volt_pipeline.sandbox.entities import Message
from volt_pipeline.sandbox.faults import ANY
from volt_pipeline_tests.extract.trapping import Trap


def a_message(trap: Trap) -> Message:
    """A message with a wave, in a conversation of several pages."""
    return next(message for message in trap.world.messages if message.wave)


def value(trap: Trap, table: str, column: str, key: str) -> object:
    rows = trap.ask(f"SELECT {column} FROM volt.{table} WHERE id = %s AND deleted_at IS NULL", key)
    return rows[0][0] if rows else "no row"


NULLS: list[tuple[str, str, str, Callable[[Trap], str]]] = [
    *(("Message", field, "messages", lambda trap: a_message(trap).id) for field in ("status", "body", "sentAt")),
    *(
        ("Contact", field, "contacts", lambda trap: str(trap.world.contacts[1].id))
        for field in ("blocked", "name", "customFields")
    ),
    *(("Wave", field, "waves", lambda trap: str(a_message(trap).wave.id)) for field in ("totalMessages", "name")),  # type: ignore[union-attr]
    *(("List", field, "lists", lambda trap: str(trap.world.lists[1].id)) for field in ("size", "createdBy")),
]


@pytest.mark.parametrize(
    ("kind", "field", "table", "which", "held"),
    [(*each, True) for each in NULLS] + [(*each, False) for each in NULLS[::3]],
    ids=[f"{each[0]}.{each[1]}" for each in NULLS] + [f"{each[0]}.{each[1]}, met first" for each in NULLS[::3]],
)
async def test_a_null_where_none_may_be_costs_that_field_only(
    trap: Trap, kind: str, field: str, table: str, which: Callable[[Trap], str], held: bool
) -> None:
    trap.begin(conversation_page=5)
    if table == "lists":
        world = trap.world
        chosen = world.lists[1]
        assert chosen.members is not None
        world.change_members(chosen, join=world.contacts[:2])
    key = which(trap)
    column = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)
    if held:
        await trap.sync()
    before = value(trap, table, column, key)
    trap.faults.null_fields.add((kind, key, field))
    await trap.sync(full=held)
    assert {(stream, of) for stream, of, _ in trap.rejects} == {(table, key)}
    assert f"{kind}.{field}" in trap.rejects[0][2]
    assert (trap.missing(), trap.missing("contacts"), trap.gaps, trap.outcome) == (set(), set(), [], "rejected")
    assert value(trap, table, column, key) == (before if held else None)  # what is held is not undone
    await trap.heal()


@pytest.mark.parametrize("field", ["lastMessage", "lastMessageTime", "isUnread"])
async def test_an_inbox_item_without_a_field_is_stored_without_it_and_told(trap: Trap, field: str) -> None:
    world = trap.begin(inbox_page=2)
    await trap.sync()
    contact = world.contacts[1]
    world.hear(contact, "What do you say?")
    trap.faults.null_fields.add(("InboxMessage", contact.id, field))
    for _ in range(2):
        await trap.sync()
        assert trap.missing() == set()
        assert {stream for stream, _, _ in trap.rejects} == {"inbox_items"}
        assert f"{world.accounts[0].id}|{contact.phone_number}" in {key for _, key, _ in trap.rejects}
        assert (trap.outcome, trap.missing("contacts")) == ("rejected", set())
    await trap.heal()


@pytest.mark.parametrize("place", [("Account", "name"), ("Organization", "companyName")], ids=".".join)
async def test_an_account_without_a_field_keeps_what_is_held(trap: Trap, place: tuple[str, str]) -> None:
    await trap.sync()
    trap.faults.null_fields.add((place[0], ANY, place[1]))
    held = trap.ask("SELECT a.name, o.company_name FROM volt.accounts a, volt.organizations o")
    await trap.sync()
    assert {stream for stream, _, _ in trap.rejects} == {f"{place[0].lower()}s"}
    assert trap.ask("SELECT a.name, o.company_name FROM volt.accounts a, volt.organizations o") == held
    await trap.heal(1)


async def test_many_nulls_at_once_are_read_around(trap: Trap) -> None:
    world = trap.begin(conversation_page=6)
    contacts, message = world.contacts, a_message(trap)
    assert message.wave
    bad = {
        ("Contact", contacts[1].id, "name"),
        ("Contact", contacts[2].id, "blocked"),
        ("Message", message.id, "body"),
        ("Message", next(each.id for each in world.messages if each.contact is contacts[2]), "fromNumber"),
        ("Wave", message.wave.id, "name"),
    }
    trap.faults.null_fields |= bad
    await trap.sync()
    assert (trap.missing(), trap.missing("contacts"), trap.gaps) == (set(), set(), [])
    assert {(stream, key) for stream, key, _ in trap.rejects} == {(f"{kind.lower()}s", key) for kind, key, _ in bad}
    await trap.heal()


async def test_a_failing_contact_costs_itself(trap: Trap) -> None:
    world = trap.begin()
    await trap.sync()
    contact = world.contacts[1]
    trap.faults.failing_contacts.add(contact.id)
    trap.age(25)
    await trap.sync()
    assert ("contacts", contact.id) in {(stream, key) for stream, key, _ in trap.rejects}
    assert (trap.outcome, trap.buried("contacts"), trap.missing()) == ("rejected", set(), set())
    await trap.heal()


async def test_a_contact_that_fails_from_the_start_is_told(trap: Trap) -> None:
    world = trap.begin()
    trap.faults.failing_contacts.add(world.contacts[1].id)
    await trap.sync()
    assert [stream for stream, _, _ in trap.rejects] == ["contacts"]
    assert trap.outcome == "rejected"
    await trap.heal()


async def test_a_failing_message_costs_its_conversation_s_older_part(trap: Trap) -> None:
    world = trap.begin(conversation_page=4)
    texter = max(world.contacts, key=lambda contact: len(world.ledger.conversations[contact.id]))
    talk = world.ledger.conversations[texter.id]
    trap.faults.failing_messages.add(talk[2][1])
    for _ in range(2):
        await trap.sync()
        assert [stream for stream, _, _ in trap.rejects] == ["conversations"]
        lost = trap.missing()
        assert {talk[2][1]} <= lost <= {identity for _, identity, _ in talk[:6]}
    await trap.heal()


async def test_a_message_that_fails_only_when_it_settles_costs_itself(trap: Trap) -> None:
    world = trap.begin()
    world.move(1.0, world.clock())
    await trap.sync()
    failing, *others = world.ledger.pending
    world.settle(world.clock())
    trap.faults.failing_messages.add(failing)
    trap.age(2)
    await trap.sync()
    assert [(stream, key) for stream, key, _ in trap.rejects] == [("messages", failing)]
    final = {key for (key,) in trap.ask("SELECT id FROM volt.messages WHERE is_final")}
    assert set(others) <= final
    assert failing not in final
    await trap.heal()


async def test_a_failing_wave_costs_itself_and_that_its_messages_name_it(trap: Trap) -> None:
    trap.begin()
    message = a_message(trap)
    assert message.wave
    trap.faults.failing_waves.add(message.wave.id)
    for _ in range(2):
        await trap.sync()
        assert {stream for stream, _, _ in trap.rejects} == {"messages"}
        assert trap.missing("waves") == {message.wave.id}
        assert (trap.missing(), trap.gaps) == (set(), [])
        trap.age(2)
    await trap.heal()


async def test_a_wave_that_begins_to_fail_keeps_what_is_held(trap: Trap) -> None:
    trap.begin()
    await trap.sync()
    message = a_message(trap)
    assert message.wave
    trap.faults.failing_waves.add(message.wave.id)
    await trap.sync(full=True)
    assert ("waves", message.wave.id) in {(stream, key) for stream, key, _ in trap.rejects}
    assert trap.missing("waves") == set()
    assert trap.ask("SELECT wave_id FROM volt.messages WHERE id = %s", message.id) == [(message.wave.id,)]
    await trap.heal()


async def test_a_failing_list_costs_itself(trap: Trap) -> None:
    world = trap.begin()
    chosen = next(each for each in world.lists if each.members is not None)
    world.change_members(chosen, join=world.contacts[:2])
    await trap.sync()
    world.change_members(chosen, leave=world.contacts)  # else its members fail with it
    trap.faults.failing_lists.add(chosen.name)
    for _ in range(2):
        trap.age(25)
        await trap.sync()
        assert [(stream, key) for stream, key, _ in trap.rejects] == [("lists", chosen.name)]
        assert (chosen.id in trap.held("lists"), trap.outcome) == (True, "rejected")
    await trap.heal()


async def test_a_failing_conversation_costs_itself(trap: Trap) -> None:
    world = trap.begin()
    contact = world.contacts[1]
    trap.faults.failing_conversations.add((world.accounts[0].primary_phone, contact.phone_number))
    await trap.sync()
    assert [stream for stream, _, _ in trap.rejects] == ["conversations"]
    assert trap.missing() == {identity for _, identity, _ in world.ledger.conversations[contact.id]}
    await trap.heal(1, hours=0)


async def test_a_failing_inbox_costs_its_account_s_news_only(trap: Trap) -> None:
    world = trap.begin(accounts=2, contacts=4)
    await trap.sync()
    failing, fine = world.accounts
    trap.faults.failing_inboxes.add(failing.primary_phone)
    for contact in world.contacts:
        world.hear(contact, f"Hello {contact.id}")
    await trap.sync()
    assert {(stream, key) for stream, key, _ in trap.rejects} == {("inbox_items", failing.id)}
    lost = {world.ledger.messages[key].account.id for key in trap.missing()}
    assert (lost, trap.outcome) == ({failing.id}, "rejected")
    assert fine.id not in lost
    await trap.heal(1, hours=0)
