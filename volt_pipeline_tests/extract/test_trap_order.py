"""Pages in odd orders, with ties at their edges, repeated or empty: no news is missed, whatever a page shows first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from volt_pipeline_tests.extract.trapping import Trap

TIES = {"coarse_times": timedelta(days=7)}  # what a test says now shares one time, older things share others
ALL_TIED = {"coarse_times": timedelta(days=36_500)}
ORDERS: list[tuple[str, int, dict[str, Any]]] = [
    *(("newest first", size, {}) for size in (1, 2, 3)),
    *(("ties", size, TIES) for size in (1, 2, 3)),
    ("one time for all", 2, {"coarse_times": timedelta(days=36_500)}),
    ("oldest first inside", 2, {"oldest_first": True}),
    ("ties, oldest first inside", 2, {"oldest_first": True, **TIES}),
    ("shuffled", 3, {"shuffled": True}),
    ("from the oldest", 1, {"from_the_oldest": True}),
    ("from the oldest, ties", 2, {"from_the_oldest": True, **TIES}),
    *(("in no order", size, {"in_no_order": True}) for size in (1, 3)),
    ("repeated items", 2, {"repeated_item": True}),
    ("an empty page", 2, {"empty_page": 2}),
]


@pytest.mark.parametrize(("size", "faults"), [each[1:] for each in ORDERS], ids=[f"{n} by {s}" for n, s, _ in ORDERS])
async def test_no_news_is_missed_in_any_order(trap: Trap, size: int, faults: dict[str, Any]) -> None:
    world = trap.begin(longest=9, contacts=3, inbox_page=size, conversation_page=size + 2)
    vars(trap.faults).update(faults)
    await trap.sync()
    assert (trap.missing(), trap.gaps) == (set(), [])
    quiet, *_, above, below = world.contacts
    for texters in ([below, above], [quiet]):
        for texter in texters:
            world.hear(texter, f"Hello, this is {texter.id} {len(world.messages)}")
        await trap.sync()
        assert (trap.missing(), trap.gaps) == (set(), [])
        assert trap.asked("conversation") >= len(texters)
    await trap.sync()  # nothing has moved
    assert (trap.asked("conversation"), trap.rejects, trap.outcome) == (0, [], "succeeded")
    if "coarse_times" not in faults:
        trap.assert_whole()


async def test_an_order_that_changes_between_two_syncs_is_noticed(trap: Trap) -> None:
    world = trap.begin(inbox_page=1, conversation_page=3)
    await trap.sync()
    trap.faults.from_the_oldest = True
    world.hear(world.contacts[2], "Still there?")
    await trap.sync()
    assert trap.missing() == set()
    trap.faults.from_the_oldest = False
    world.hear(world.contacts[1], "And now?")
    await trap.sync()
    assert trap.missing() == set()
    await trap.heal()


async def test_a_conversation_that_jumps_to_the_top_while_the_inbox_is_paged_is_not_missed(trap: Trap) -> None:
    world = trap.begin(inbox_page=1, conversation_page=20)
    oldest = world.ledger.inboxes[world.accounts[0].id].entries

    def jump(root: str, number: int) -> None:
        item = oldest[0][2]  # the one that would be read last
        if root == "inbox" and number < 6 and item.contact is not None and len(world.messages) < most:
            world.hear(item.contact, f"Quick, before page {number}")

    for _ in range(2):
        most = len(world.messages) + 6
        trap.faults.before_page = jump
        await trap.sync()
        trap.faults.before_page = None
        assert len(trap.held("contacts")) == len(world.snapshot()["contacts"])
        await trap.sync()
        assert trap.missing() == set()
    await trap.heal()


async def test_a_conversation_that_grows_while_it_is_paged_is_read_once_more(trap: Trap) -> None:
    world = trap.begin(conversation_page=2)
    texter = max(world.contacts, key=lambda contact: len(world.ledger.conversations[contact.id]))
    most = len(world.messages) + 4

    def grow(root: str, number: int) -> None:
        if root == "conversation" and number > 1 and len(world.messages) < most:
            world.hear(texter, f"One more thing {number}")

    trap.faults.before_page = grow
    await trap.sync()
    assert len(world.messages) == most
    trap.faults.before_page = None
    await trap.sync()
    assert (trap.missing(), trap.gaps) == (set(), [])
    await trap.heal()


async def test_a_walk_stops_early_only_below_the_top(trap: Trap) -> None:
    """The guard in one picture: the ties of the last top are read again, and no more than they."""
    world = trap.begin(contacts=8, inbox_page=1, conversation_page=50)
    vars(trap.faults).update(TIES)
    first, second, third, *_ = world.contacts
    world.hear(first, "One")
    await trap.sync()
    world.hear(second, "Two")
    world.hear(third, "Three")  # at the same time as what was the top
    await trap.sync()
    assert trap.missing() == set()
    assert trap.asked("inbox") < len(world.ledger.inboxes[world.accounts[0].id].entries)
    await trap.heal(full=True)


async def test_the_same_words_again_within_a_whole_second_are_found(trap: Trap) -> None:
    """Where Volt tells whole seconds, the inbox shows no difference."""
    world = trap.begin()
    contact = world.contacts[1]
    second = datetime.now(UTC).replace(microsecond=0).isoformat()
    trap.faults.patch("InboxMessage", "lastMessageTime", second, of=contact.id)
    world.hear(contact, "ok")
    await trap.sync()
    world.hear(contact, "ok")
    await trap.sync()
    assert (trap.missing(), trap.asked("conversation")) == (set(), 1)
