"""Cursors that lead nowhere, in circles or away, totals that never agree, and walks that go on after a kill."""

from __future__ import annotations

from typing import Any

import pytest

from volt_pipeline.extract import conversations
from volt_pipeline.sandbox.entities import Contact
from volt_pipeline.sandbox.fault_paging import Place
from volt_pipeline.warehouse.errors import WarehouseError
from volt_pipeline_tests.extract.trapping import Trap

CURSORS: dict[str, dict[str, Any]] = {
    "stuck": {"stuck_cursor": 2},
    "looping": {"looping_cursors": (3, 2)},
    "looping far": {"looping_cursors": (4, 2)},
    "lost": {"lost_cursor": 2},
    "lost at once": {"lost_cursor": 1},
    "expiring": {"cursors_expire_after": 2},
    "expiring at once": {"cursors_expire_after": 1},
}


def longest(trap: Trap) -> Contact:
    conversations = trap.world.ledger.conversations
    return max(trap.world.contacts, key=lambda contact: len(conversations[contact.id]))


@pytest.mark.parametrize("faults", CURSORS.values(), ids=CURSORS)
async def test_a_cursor_that_leads_nowhere_ends_the_walk_and_says_so(trap: Trap, faults: dict[str, Any]) -> None:
    trap.begin(contacts=4, inbox_page=1, conversation_page=2)
    vars(trap.faults).update(faults)
    for _ in range(2):
        await trap.sync()
        assert trap.outcome == "rejected"
        assert {stream for stream, _, _ in trap.rejects} == {"inbox_items", "conversations"}
        assert len(trap.held("messages")) >= 2  # what could be read is kept
    await trap.heal()


@pytest.mark.parametrize("name", ["stuck", "lost at once", "expiring"])
async def test_news_are_read_although_cursors_lead_nowhere(trap: Trap, name: str) -> None:
    """An early stop needs no cursor, and a whole walk that fails takes nothing away."""
    world = trap.begin(contacts=12, inbox_page=3, conversation_page=4)
    await trap.sync()
    vars(trap.faults).update(CURSORS[name])
    world.hear(longest(trap), "Good morning")
    await trap.sync()
    assert trap.missing() == set()
    assert name == "lost at once" or {stream for stream, _, _ in trap.rejects} <= {"inbox_items"}
    trap.age(25)  # the whole inbox is due
    world.hear(longest(trap), "Good evening")
    await trap.sync()
    assert trap.missing() == set()
    assert "inbox_items" in {stream for stream, _, _ in trap.rejects}
    await trap.heal(1)


async def test_a_cursor_that_expired_between_two_syncs_costs_one_walk_from_the_top(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "_ROWS", 1)  # each page in a transaction of its own
    trap.begin(conversation_page=3, longest=20)
    await trap.killed("conversations", workers=1)
    assert trap.ask("SELECT count(*) FROM volt_ops.walks WHERE cursor IS NOT NULL") != [(0,)]
    trap.ask("UPDATE volt_ops.walks SET cursor = 'no cursor any more' WHERE cursor IS NOT NULL")
    await trap.sync()
    trap.assert_whole()


@pytest.mark.parametrize("faults", [{"hidden_next_page": 2}, {"cursors_by_time": True}], ids=["hidden", "by time"])
async def test_a_walk_that_believes_it_is_at_its_end_shows_what_is_missing(trap: Trap, faults: dict[str, Any]) -> None:
    world = trap.begin(contacts=8, inbox_page=2, conversation_page=3)
    world.move(1.0, world.clock())  # three conversations a time
    inbox_of = world.ledger.inboxes[world.accounts[0].id]
    for _, identity, item in inbox_of.entries.copy():
        if item.contact is None:
            inbox_of.take(identity)
    vars(trap.faults).update(faults)
    await trap.sync()
    (inbox,) = [gap for stream, _, _, _, gap in trap.gaps if stream == "inbox_items"] or [0]
    assert inbox == len(trap.missing("contacts")) > 0
    talks = {phone for (phone,) in trap.ask("SELECT contact_phone FROM volt_ops.walks WHERE stream = 'messages'")}
    walked = [
        message for message in world.snapshot()["messages"].values() if message["contact_id"] in trap.held("contacts")
    ]
    gap = sum(gap for stream, _, _, _, gap in trap.gaps if stream == "messages")
    assert len(talks) == len(trap.held("contacts"))
    assert gap == len({message["id"] for message in walked} - trap.held("messages"))
    await trap.heal(3)


@pytest.mark.parametrize("off", [2, -1])
async def test_a_total_that_never_agrees_is_shown_and_asked_again_with_patience(trap: Trap, off: int) -> None:
    world = trap.begin()
    texter = longest(trap)
    account = world.accounts[0].primary_phone
    talk: Place = (account, texter.phone_number)
    trap.faults.totals_off = {talk: off, account: off}
    await trap.sync()
    shown = sorted((stream, key, gap) for stream, key, _, _, gap in trap.gaps)
    assert shown == [("inbox_items", "", off), ("messages", texter.phone_number, off)]
    assert (trap.missing(), trap.outcome) == (set(), "succeeded")
    walks = []
    for _ in range(5):
        await trap.sync()
        walks.append(trap.asked("conversation"))
        trap.age(1.1)
    assert walks[0] == 0  # not at every run
    assert 0 < sum(bool(pages) for pages in walks) < 4  # but again, later and later
    assert sorted((stream, key, gap) for stream, key, _, _, gap in trap.gaps) == shown
    world.hear(texter, "News are found in spite of it")
    await trap.sync()
    assert trap.missing() == set()
    await trap.heal(3)
    assert trap.gaps == []


async def test_a_long_conversation_goes_on_where_it_was_killed(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "_ROWS", 1)  # each page in a transaction of its own
    trap.begin(contacts=1, conversation_page=2, longest=60)
    await trap.sync()
    in_one = trap.asked("conversation")
    trap.ask("TRUNCATE volt.messages, volt_ops.walks")
    trap.ask(
        "CREATE FUNCTION volt.die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF (SELECT count(*) FROM volt.messages) > 40 THEN RAISE 'no more'; END IF; RETURN NULL; END $$"
    )
    trap.ask("CREATE TRIGGER die AFTER INSERT ON volt.messages EXECUTE FUNCTION volt.die()")
    assert isinstance(await trap.failure(workers=1), WarehouseError)
    before = trap.asked("conversation")
    trap.ask("DROP FUNCTION volt.die() CASCADE")
    await trap.sync()
    assert before > 10
    assert trap.asked("conversation") == in_one - before + 1  # but for the page that could not be written
    trap.assert_whole()
