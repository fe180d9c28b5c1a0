"""Values that no contract promises, in every kind of row: stored or in quarantine, never fatal, and mended."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import Any

import pytest

from volt_pipeline.extract.rows import escape, unescape
from volt_pipeline.sandbox import oddities
from volt_pipeline.sandbox.faults import MISSING, Faults
from volt_pipeline_tests.extract.trapping import Trap

TEXT_FIELDS = [
    ("Message", "body"), ("Contact", "name"), ("Wave", "name"), ("List", "createdBy"), ("InboxMessage", "lastMessage"),
]  # fmt: skip
TIME_FIELDS = [
    ("Message", "sentAt"), ("Contact", "createdAt"), ("List", "createdAt"), ("InboxMessage", "lastMessageTime"),
]  # fmt: skip
ANY_FIELDS = {
    "Message": ("body", "sentAt", "media", "status", "account", "wave", "contact", "fromNumber"),
    "Contact": ("name", "createdAt", "blocked", "customFields", "lists", "account", "mappedNumber"),
    "Wave": ("name", "totalMessages", "media", "lists", "account", "type"),
    "List": ("size", "createdAt", "queryCustomFields", "querySourceListName", "account"),
    "InboxMessage": ("lastMessage", "isUnread", "lastMessageTime"),
}
KEYS = [("Message", "id"), ("Contact", "id"), ("Contact", "phoneNumber"), ("Wave", "id"), ("List", "id")]
TABLES = {"Message": "messages", "Contact": "contacts", "Wave": "waves", "List": "lists", "InboxMessage": "inbox_items"}


def identities(trap: Trap, kind: str) -> list[str]:
    """All rows of a kind that a sync finds."""
    snapshot = trap.world.snapshot()
    if kind == "InboxMessage":
        return sorted(snapshot["contacts"], reverse=True)
    return sorted(snapshot[TABLES[kind]])


def assert_nothing_is_hidden(trap: Trap, *kinds: str) -> None:
    """What is neither held nor counted as refused would be a gap; and nothing else is refused."""
    assert [gap for gap in trap.gaps if gap[4] > 0] == []
    assert {stream for stream, _, _ in trap.rejects} <= {TABLES[kind] for kind in kinds}
    assert trap.outcome == ("rejected" if trap.rejects else "succeeded")


def spoil(trap: Trap, fields: list[tuple[str, str]], values: Iterable[Any]) -> None:
    """Each value in each of these fields, every time in another row as far as there are so many."""
    values = list(values)
    for kind, field in fields:
        for key, value in zip(identities(trap, kind), values, strict=False):
            trap.faults.patch(kind, field, value, of=key)


async def test_any_text_is_stored_and_can_be_had_back(trap: Trap) -> None:
    trap.begin(contacts=9)
    spoil(trap, TEXT_FIELDS, oddities.TEXTS.values())
    await trap.sync()
    trap.assert_quiet()
    for kind, field in TEXT_FIELDS:
        column = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)
        key = "contact_id" if kind == "InboxMessage" else "id"
        held = dict(trap.ask(f"SELECT {key}, {column} FROM volt.{TABLES[kind]}"))
        for key, text in zip(identities(trap, kind), oddities.TEXTS.values(), strict=False):
            assert unescape(held[key]) == text
    assert trap.missing() == set()
    await trap.heal(1, full=True)


async def test_any_time_is_stored_or_refused(trap: Trap) -> None:
    trap.begin(contacts=12)
    spoil(trap, TIME_FIELDS, oddities.TIMES.values())
    await trap.sync()
    assert_nothing_is_hidden(trap, "Message", "Contact", "List", "InboxMessage")
    assert all(" is no " in reason for _, _, reason in trap.rejects)
    refused = {key for stream, key, _ in trap.rejects if stream == "messages"}
    assert refused == trap.missing()
    assert len(refused) == 7  # those that are no times
    await trap.heal(1, full=True)


@pytest.mark.parametrize("text", [oddities.TIMES["year 1"], oddities.TIMES["year 9999"], "soon"])
async def test_a_time_that_cannot_be_is_not_what_later_walks_go_by(trap: Trap, text: str) -> None:
    world = trap.begin(contacts=4, inbox_page=1, longest=5)
    spoil(trap, [("Message", "sentAt"), ("InboxMessage", "lastMessageTime")], [text])
    await trap.sync()
    for heard in (world.contacts[:1], world.contacts[1:3], world.contacts[2:]):
        for contact in heard:
            world.hear(contact, f"News {contact.id} {len(world.messages)}")
        await trap.sync()
        assert {message.id for message in world.messages[-len(heard) :]} <= trap.held("messages")
        trap.sandbox.faults = Faults()
    await trap.heal(1, full=True)


async def test_an_unknown_status_is_kept_and_asked_again(trap: Trap) -> None:
    world = trap.begin(contacts=9)
    world.move(1.0, world.clock())  # older ones would rest
    recent = dict(zip([message.id for message in world.messages[-7:]], oddities.STATUSES, strict=False))
    for key, status in recent.items():
        trap.faults.patch("Message", "status", status, of=key)
    await trap.sync()
    held = {key: (status, final) for key, status, final in trap.ask("SELECT id, status, is_final FROM volt.messages")}
    assert {key: held[key] for key in recent} == {key: (status, False) for key, status in recent.items()}
    trap.assert_quiet()
    world.settle(world.clock())
    await trap.heal(1)


@pytest.mark.parametrize("value", [*oddities.WRONG_KINDS, MISSING], ids=repr)
async def test_a_value_of_any_kind_in_any_field_costs_at_most_its_row(trap: Trap, value: Any) -> None:
    """Each row has another of its fields wrong, all at once."""
    world = trap.begin(contacts=9)
    for kind, names in ANY_FIELDS.items():
        for key, name in zip(cycle(identities(trap, kind)), names, strict=False):
            trap.faults.patch(kind, name, value, of=key)
    wrong = {patched.of for patched in trap.faults.patches}
    await trap.sync()
    assert_nothing_is_hidden(trap, *ANY_FIELDS)
    assert trap.missing() <= wrong
    assert trap.missing("contacts") <= wrong
    assert len(trap.missing()) < len(ANY_FIELDS["Message"])
    await trap.sync(full=True)  # what is held does not suffer either
    assert_nothing_is_hidden(trap, *ANY_FIELDS)
    world.settle(world.clock())
    await trap.heal(1, full=True)


@pytest.mark.parametrize("value", [None, True, 1.5, "", [], {"x": [None]}, MISSING], ids=repr)
async def test_a_key_of_any_kind_costs_at_most_its_row(trap: Trap, value: Any) -> None:
    world = trap.begin(contacts=6, longest=5)
    spoilt = set()
    for number, (kind, field) in enumerate(KEYS):
        key = identities(trap, kind)[number % 4]
        trap.faults.patch(kind, field, value, of=key)
        spoilt.add(key)
    for _ in range(2):
        await trap.sync(full=True)
        assert {stream for stream, _, _ in trap.rejects} <= {*TABLES.values(), "conversations"}
        lost = {world.ledger.messages[key] for key in trap.missing()}
        assert all({message.id, message.contact.id} & spoilt for message in lost)
        # And, in the second round, an item that names no contact at all.
        spoilt.add(identities(trap, "InboxMessage")[0])
        trap.faults.patches = []
        trap.faults.patch("InboxMessage", "contact", value, of=identities(trap, "InboxMessage")[0])
    await trap.heal(2, full=True)


async def test_integer_ids_nested_media_and_more_than_was_asked(trap: Trap) -> None:
    trap.faults.integer_ids = True
    extra = {"surprise": {"nested": [1, None]}}
    trap.faults.extra_fields = dict.fromkeys((*ANY_FIELDS, "Account", "PageInfo"), extra)
    await trap.sync()
    trap.assert_whole()
    trap.faults.nested_media = True
    await trap.sync(full=True)
    assert (trap.rejects, trap.outcome) == ([], "succeeded")
    assert all(isinstance(media, list) for (media,) in trap.ask("SELECT media FROM volt.messages"))
    await trap.heal(1, full=True)


def test_what_is_stored_is_what_was_said() -> None:
    assert all(unescape(escape(text)) == text for text in oddities.TEXTS.values())
