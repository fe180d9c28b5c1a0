"""A token that is revoked: whatever Volt answers then, nothing is taken for deleted, and the failure is clear."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from volt_pipeline.errors import ExplainedError
from volt_pipeline_tests.extract.trapping import Trap
from volt_pipeline_tests.warehouse.loading import versions

Manner = Literal["401", "unauthenticated", "empty", "null"]
MANNERS: tuple[Manner, ...] = ("401", "unauthenticated", "empty", "null")
MIDDLES: list[tuple[Manner, str, int]] = [
    *((manner, "conversations", 1) for manner in MANNERS),
    *(("null", f"{kind} look-ups", 0) for kind in ("contact", "wave")),
    ("empty", "inbox pages", 1),
]


def contents(trap: Trap) -> dict[str, Any]:
    """What stands in the tables that only ever grow."""
    return {
        table: trap.ask(f"SELECT count(*), count(*) FILTER (WHERE deleted_at IS NOT NULL) FROM volt.{table}")
        for table in ("contacts", "messages", "waves", "lists", "accounts")
    } | {"memberships": trap.ask("SELECT count(*) FROM volt.contact_lists WHERE valid_to IS NULL")}


@pytest.mark.parametrize("manner", MANNERS)
async def test_a_token_revoked_before_a_sync_changes_nothing(trap: Trap, manner: Manner) -> None:
    trap.begin(contacts=3)
    await trap.sync()
    trap.age(30)
    before = versions(trap.url)
    for _ in range(2):
        trap.faults.revoked = manner
        error = await trap.failure()
        assert isinstance(error, ExplainedError)
        assert "token" in str(error).lower()
    assert versions(trap.url) == before
    await trap.heal(1)


@pytest.mark.parametrize(("manner", "stage", "after"), MIDDLES, ids=[f"{m} at {s}" for m, s, _ in MIDDLES])
async def test_a_token_revoked_in_the_middle_empties_nothing(
    trap: Trap, manner: Manner, stage: str, after: int
) -> None:
    world = trap.begin(contacts=5, inbox_page=2, conversation_page=9)
    await trap.sync()
    before = contents(trap)
    world.move(1.0, world.clock())

    def observe(name: str, done: int, _known: int) -> None:
        if name == stage and done >= after:
            trap.faults.revoked = manner

    for _ in range(3):
        trap.faults.revoked = ""
        trap.age(25)
        error = await trap.attempt(observe=observe)
        assert error is not None or trap.outcome == "rejected" or not trap.faults.revoked
        after_ = contents(trap)
        assert all(after_[table][0][0] >= before[table][0][0] for table in before)
        assert all(rows[0][1:] in ((0,), ()) for rows in after_.values())
    await trap.heal(2)


@pytest.mark.parametrize("manner", ["empty", "null"])
async def test_a_token_revoked_in_the_first_sync_leaves_nothing_out(trap: Trap, manner: Manner) -> None:
    trap.begin(contacts=5, inbox_page=2)

    def observe(name: str, done: int, _known: int) -> None:
        if name == "inbox pages" and done >= 3:
            trap.faults.revoked = manner

    await trap.attempt(observe=observe)
    assert trap.outcome in ("failed", "rejected")
    await trap.heal(2, hours=0)


async def test_a_sudden_zero_is_an_error(trap: Trap) -> None:
    world = trap.begin()
    await trap.sync()
    account = world.accounts[0]
    inbox = world.ledger.inboxes[account.id]
    entries, inbox.entries = inbox.entries, []
    for _ in range(4):
        trap.age(25)
        await trap.sync()
        assert [stream for stream, _, _ in trap.rejects] == ["inbox_items"]
        assert "nothing is believed gone" in trap.rejects[0][2]
        assert trap.outcome == "rejected"
    inbox.entries = entries
    await trap.heal(1)


async def test_an_empty_conversation_beside_its_inbox_item_is_not_believed(trap: Trap) -> None:
    world = trap.begin()
    talks = world.ledger.conversations
    contact = world.contacts[1]
    talk, talks[contact.id] = talks[contact.id], []
    await trap.sync()
    assert [stream for stream, _, _ in trap.rejects] == ["conversations"]
    talks[contact.id] = talk
    await trap.heal(1, hours=0)
