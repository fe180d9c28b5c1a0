"""Volt's contract changes under the pipeline: what is gone stops only what needs it, until it is back."""

from __future__ import annotations

import pytest

from volt_pipeline.sandbox.fault_drift import Edit, added, chained, removed, retyped
from volt_pipeline_tests.extract.trapping import Trap

# The field that is gone, the tables that cannot be read then, and one that still must be.
GONE: list[tuple[str, set[str], str]] = [
    ("Contact.blocked", {"inbox_items", "contacts"}, "messages"),
    ("Message.legacyId", {"conversations", "messages"}, "contacts"),
    ("Wave.sentBy", {"waves"}, "messages"),
    ("List.size", {"lists"}, "messages"),
    ("Webhook.url", {"webhooks"}, "messages"),
    ("InboxMessage.isUnread", {"inbox_items"}, "messages"),
    ("Query.wave", {"waves"}, "messages"),
    ("Query.webhooks", {"webhooks"}, "contacts"),
]


@pytest.mark.parametrize(("place", "tables", "other"), GONE, ids=[place for place, _, _ in GONE])
async def test_a_field_that_is_gone_stops_only_what_needs_it(
    trap: Trap, place: str, tables: set[str], other: str
) -> None:
    world = trap.begin()
    world.move(1.0, world.clock())
    await trap.sync()
    held = {table: trap.held(table) for table in ("contacts", "messages", "waves", "lists")}
    contact = next(each for each in world.contacts if not each.blocked)
    world.hear(contact, "News") if other != "messages" or "inbox_items" not in tables else world.settle(world.clock())
    world.change_contact(contact, name="Somebody Else", touch=False)
    trap.faults.drift = removed(place)
    trap.age(25)
    for _ in range(2):
        await trap.sync(full=True)
        assert {(stream, key) for stream, key, _ in trap.rejects} == {(table, "the query") for table in tables}
        assert trap.outcome == "rejected"
    assert {table: trap.held(table) >= keys for table, keys in held.items()} == dict.fromkeys(held, True)
    if other == "contacts":
        assert trap.ask("SELECT name FROM volt.contacts WHERE id = %s", contact.id) == [("Somebody Else",)]
    elif "inbox_items" not in tables:
        assert trap.missing() == set()
    else:
        assert trap.ask("SELECT count(*) FROM volt.messages WHERE NOT is_final") == [(0,)]
    await trap.heal(1)


@pytest.mark.parametrize(
    "edit",
    [
        added("Contact", "nickname: String"),
        chained(retyped("Message.confirmedAt", "String"), retyped("Message.wave", "Wave")),
        retyped("Contact.lists", "[List]"),
        removed("Message.legacyId"),
    ],
    ids=["more", "nullable now", "nullable lists", "less, from the start"],
)
async def test_a_first_sync_of_another_contract(trap: Trap, edit: Edit) -> None:
    trap.faults.drift = edit
    await trap.sync()
    assert trap.missing("contacts") == set()
    assert {stream for stream, _, _ in trap.rejects} <= {"conversations"}
    await trap.heal(1)
