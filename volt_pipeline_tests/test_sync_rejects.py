"""What cannot be stored or read is in quarantine with its reason; the rest is there, and it comes back when it can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from volt_pipeline.sandbox.entities import Contact, Refused
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.world import World

from .syncing import differences, gaps, new_world, open_rejects, outcome, synced
from .warehouse.loading import ask


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    """The running server, with a fresh world."""
    server.world = new_world()
    return server


def refuse(world: World, contact: Contact, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one conversation fail whenever it is asked for."""

    class Failing(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            if key == contact.id:
                raise Refused("Something broke", "INTERNAL_SERVER_ERROR")
            return super().__getitem__(key)

    monkeypatch.setattr(world.ledger, "conversations", Failing(world.ledger.conversations))


def texter(world: World) -> Contact:
    """Somebody whose conversation takes several pages."""
    return max(world.contacts, key=lambda contact: len(world.ledger.conversations[contact.id]))


async def test_a_conversation_that_volt_refuses_costs_itself_only(
    sandbox: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sandbox.world
    contact = texter(world)
    lost = len(world.ledger.conversations[contact.id])
    with monkeypatch.context() as patch:
        refuse(world, contact, patch)
        for _ in range(2):
            report = await synced(sandbox, warehouse_url)
            ((stream, key, reason),) = open_rejects(warehouse_url)
            assert (stream, key) == ("conversations", f"{contact.account.id}|{contact.phone_number}")
            assert reason.startswith("cannot be read: conversation: ")
            assert contact.phone_number not in reason
            assert (report.rejected, outcome(warehouse_url)) == (1, "rejected")
        ((held,),) = ask(warehouse_url, "SELECT count(*) FROM volt.messages")
        assert held == len(world.messages) - lost
    await synced(sandbox, warehouse_url)
    assert (differences(warehouse_url, world), open_rejects(warehouse_url)) == ({}, [])
    assert outcome(warehouse_url) == "succeeded"


async def test_a_message_that_cannot_be_stored_is_counted_and_comes_back_when_it_can(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    world = sandbox.world
    message = next(message for message in world.messages if message.contact is texter(world))
    good, message.sent_at = message.sent_at, "yesterday"  # type: ignore[assignment]
    report = await synced(sandbox, warehouse_url)
    assert open_rejects(warehouse_url) == [("messages", message.id, "sentAt is no RFC 3339 time")]
    assert (report.rejected, outcome(warehouse_url)) == (1, "rejected")
    assert ask(warehouse_url, "SELECT count(*) FROM volt.messages") == [(len(world.messages) - 1,)]
    assert [gap for gap in gaps(warehouse_url) if gap[0] != "waves"] == []  # refused is accounted for
    ((raw,),) = ask(warehouse_url, "SELECT raw FROM volt_ops.rejects")
    assert (raw["id"], raw["sentAt"], raw["body"]) == (message.id, "yesterday", message.body)
    message.sent_at = good
    await synced(sandbox, warehouse_url, full=True)
    assert (differences(warehouse_url, world), open_rejects(warehouse_url), gaps(warehouse_url)) == ({}, [], [])


async def test_an_inbox_item_that_cannot_be_stored_is_counted_and_comes_back_when_it_can(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    world = sandbox.world
    account = world.accounts[0]
    item = next(item for _, _, item in world.ledger.inboxes[account.id].entries if item.contact)
    good, item.last_message_time = item.last_message_time, "soon"  # type: ignore[assignment]
    await synced(sandbox, warehouse_url)
    assert [(stream, reason) for stream, _, reason in open_rejects(warehouse_url)] == [
        ("inbox_items", "lastMessageTime is no RFC 3339 time")
    ]
    assert [gap for gap in gaps(warehouse_url) if gap[0] == "inbox_items"] == []
    item.last_message_time = good
    await synced(sandbox, warehouse_url, full=True)
    assert (differences(warehouse_url, world), open_rejects(warehouse_url), gaps(warehouse_url)) == ({}, [], [])


async def test_text_that_postgres_cannot_hold_is_kept_as_volt_said_it(sandbox: Sandbox, warehouse_url: str) -> None:
    world, foul = sandbox.world, "\x00 \ud800 \\u0000 \\"
    contact = texter(world)
    message = next(message for message in world.messages if message.contact is contact and message.wave)
    contact.name = message.body = message.status_description = foul
    contact.custom_fields[0].value = contact.custom_fields[0].key = foul
    message.media = [foul]
    assert message.wave
    message.wave.name = message.wave.body = foul
    world.ledger.inboxes[contact.account.id].item_of[contact.id].last_message = foul
    roster = world.ledger.rosters[contact.account.id]
    joined = next(each for each in roster.lists.values() if each.members is not None)
    assert joined.members is not None
    joined.members.add(contact.id)
    del roster.lists[joined.name]
    joined.name = "\x00 \\u0000"  # it is also asked for by its name
    roster.keep(joined)
    await synced(sandbox, warehouse_url)
    assert (differences(warehouse_url, world), open_rejects(warehouse_url), gaps(warehouse_url)) == ({}, [], [])
    assert outcome(warehouse_url) == "succeeded"
