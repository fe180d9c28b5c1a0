"""Values that no contract promises, in every kind of row: stored or in quarantine, never fatal, and well again after."""

from __future__ import annotations

from typing import Any

import pytest

from volt_pipeline.extract.rows import escape, unescape
from volt_pipeline.sandbox import oddities
from volt_pipeline.sandbox.faults import MISSING
from volt_pipeline_tests.extract.trapping import Trap

TEXT_FIELDS = [("Message", "body"), ("Contact", "name"), ("Wave", "name"), ("List", "createdBy"), ("InboxMessage", "lastMessage")]
TIME_FIELDS = [
    ("Message", "sentAt"), ("Contact", "createdAt"), ("Wave", "sentBy"), ("List", "createdAt"), ("InboxMessage", "lastMessageTime"),
]  # fmt: skip
ANY_FIELDS = {
    "Message": ("body", "sentAt", "media", "status", "account", "wave", "contact", "fromNumber"),
    "Contact": ("name", "createdAt", "blocked", "customFields", "lists", "account", "mappedNumber"),
    "Wave": ("name", "totalMessages", "media", "lists", "account", "type"),
    "List": ("size", "createdAt", "queryCustomFields", "querySourceListName", "account"),
    "InboxMessage": ("lastMessage", "isUnread", "lastMessageTime"),
}
KEYS = [("Message", "id"), ("Contact", "id"), ("Contact", "phoneNumber"), ("Wave", "id"), ("List", "id"), ("InboxMessage", "contact")]
TABLES = {"Message": "messages", "Contact": "contacts", "Wave": "waves", "List": "lists", "InboxMessage": "inbox_items"}


def victims(trap: Trap) -> dict[str, str]:
    """One row of each kind that is to go wrong."""
    world = trap.world
    message = next(each for each in world.messages if each.wave)
    assert message.wave
    return {
        "Message": message.id,
        "Contact": world.contacts[1].id,
        "Wave": message.wave.id,
        "List": next(each.id for each in world.lists if each.name == "All"),
        "InboxMessage": world.contacts[2].id,
    }


def patch(trap: Trap, kind: str, field: str, value: Any) -> None:
    trap.faults.patch(kind, field, value, of=victims(trap)[kind])


def assert_nothing_is_hidden(trap: Trap, *kinds: str) -> None:
    """What is neither held nor counted as refused would be a gap; and nothing else is refused."""
    assert [gap for gap in trap.gaps if gap[4] > 0] == []
    assert {stream for stream, _, _ in trap.rejects} <= {TABLES[kind] for kind in kinds}
    assert trap.outcome == ("rejected" if trap.rejects else "succeeded")


@pytest.mark.parametrize("text", oddities.TEXTS.values(), ids=oddities.TEXTS)
async def test_any_text_is_stored_and_can_be_had_back(trap: Trap, text: str) -> None:
    trap.begin(contacts=3)
    for kind, field in TEXT_FIELDS:
        patch(trap, kind, field, text)
    await trap.sync()
    assert_nothing_is_hidden(trap)
    which = victims(trap)
    contact = trap.world.contacts[2].id
    stored = [
        *trap.ask("SELECT body FROM volt.messages WHERE id = %s", which["Message"]),
        *trap.ask("SELECT name FROM volt.contacts WHERE id = %s", which["Contact"]),
        *trap.ask("SELECT name FROM volt.waves WHERE id = %s", which["Wave"]),
        *trap.ask("SELECT created_by FROM volt.lists WHERE id = %s", which["List"]),
        *trap.ask("SELECT last_message FROM volt.inbox_items WHERE contact_id = %s", contact),
    ]
    assert [unescape(value) for (value,) in stored] == [text] * 5
    assert trap.missing() == set()
    await trap.heal(1, full=True)


@pytest.mark.parametrize("text", oddities.TIMES.values(), ids=oddities.TIMES)
async def test_any_time_is_stored_or_refused(trap: Trap, text: str) -> None:
    world = trap.begin(contacts=4, inbox_page=1)
    for kind, field in TIME_FIELDS:
        patch(trap, kind, field, text)
    await trap.sync()
    assert_nothing_is_hidden(trap, "Message", "Contact", "List", "InboxMessage")
    refused = {(stream, reason) for stream, _, reason in trap.rejects}
    assert len(refused) in (0, 4)
    assert all(" is no " in reason for _, reason in refused)
    for contact in (world.contacts[-1], world.contacts[0]):
        world.hear(contact, f"News {contact.id}")
    await trap.sync()  # a time that cannot be must not be what later walks go by
    news = {message.id for message in world.messages[-2:]}
    assert news <= trap.held("messages")
    trap.sandbox.faults = type(trap.faults)()
    world.hear(world.contacts[2], "And more")
    world.hear(world.contacts[3], "And even more")
    await trap.sync()
    assert {message.id for message in world.messages[-2:]} <= trap.held("messages")
    await trap.heal(1, full=True)


@pytest.mark.parametrize("status", oddities.STATUSES)
async def test_an_unknown_status_is_kept_and_asked_again(trap: Trap, status: str) -> None:
    which = max(trap.world.messages, key=lambda message: message.sent_at).id  # an old one would rest
    trap.faults.patch("Message", "status", status, of=which)
    await trap.sync()
    assert trap.ask("SELECT status, is_final FROM volt.messages WHERE id = %s", which) == [(status, False)]
    trap.assert_quiet()
    await trap.heal(1)


@pytest.mark.parametrize("value", [*oddities.WRONG_KINDS, MISSING], ids=repr)
async def test_a_value_of_any_kind_in_any_field_costs_at_most_its_row(trap: Trap, value: Any) -> None:
    trap.begin(contacts=3)
    fields = max(map(len, ANY_FIELDS.values()))
    for turn in range(fields):
        for kind, names in ANY_FIELDS.items():
            patch(trap, kind, names[turn % len(names)], value)
        await trap.sync(full=True)
        assert_nothing_is_hidden(trap, *ANY_FIELDS)
        lost = {victims(trap)["Message"]}
        assert trap.missing() <= lost
        trap.faults.patches = []
    await trap.heal(1, full=True)


@pytest.mark.parametrize("value", [*oddities.WRONG_KINDS, MISSING], ids=repr)
async def test_a_key_of_any_kind_costs_at_most_its_row(trap: Trap, value: Any) -> None:
    world = trap.begin(contacts=4)
    if value == 7 or isinstance(value, int) and value > 7:
        pytest.skip("an integer is an id like any other")
    which = victims(trap)
    for kind, field in KEYS:
        trap.faults.patches = []
        patch(trap, kind, field, value)
        await trap.sync(full=True)
        assert {stream for stream, _, _ in trap.rejects} <= {*TABLES.values(), "conversations"}
    lost = {world.ledger.messages[key] for key in trap.missing()}
    assert all(message.id == which["Message"] or message.contact.id in which.values() for message in lost)
    await trap.heal(3, full=True)


async def test_integer_ids_nested_media_and_more_than_was_asked(trap: Trap) -> None:
    trap.faults.integer_ids = True
    trap.faults.extra_fields = {kind: {"surprise": {"nested": [1, None]}} for kind in (*ANY_FIELDS, "Account", "PageInfo")}
    await trap.sync()
    trap.assert_whole()
    trap.faults.nested_media = True
    await trap.sync(full=True)
    assert (trap.rejects, trap.outcome) == ([], "succeeded")
    assert all(isinstance(media, list) for (media,) in trap.ask("SELECT media FROM volt.messages"))
    await trap.heal(1, full=True)


def test_what_is_stored_is_what_was_said() -> None:
    assert all(unescape(escape(text)) == text for text in oddities.TEXTS.values())
