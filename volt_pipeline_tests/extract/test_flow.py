"""What goes on side by side: conversations start while the inbox is paged, and a huge one does not hold the others."""

from __future__ import annotations

import pytest

from volt_pipeline.extract import behind, conversations, frontier
from volt_pipeline_tests.extract.trapping import Trap


def roots(trap: Trap) -> list[str]:
    """From now on, what each page that Volt serves is of, in order."""
    served: list[str] = []
    trap.faults.before_page = lambda root, _number: served.append(root)
    return served


def walks(trap: Trap) -> int:
    ((count,),) = trap.ask("SELECT count(*) FROM volt_ops.walks WHERE stream = 'messages'")
    return int(count)


async def test_conversations_start_while_the_inbox_is_paged(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "_MOST_ROWS", 4)  # the inbox is never more than a few pages ahead of what is stored
    monkeypatch.setattr(frontier, "_LINGER_SECONDS", 0.0)
    trap.begin(contacts=40, inbox_page=1)
    served = roots(trap)
    await trap.sync()
    assert served.index("conversation") < served.index("inbox", 20)
    assert served.count("conversation") == walks(trap)
    trap.assert_whole()


async def test_a_full_reading_asks_each_conversation_once_although_all_are_due(trap: Trap) -> None:
    trap.begin(contacts=12, inbox_page=2)
    await trap.sync()
    served = roots(trap)
    await trap.sync(full=True)
    assert served.count("conversation") == walks(trap)


async def test_a_huge_conversation_does_not_hold_the_others(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few aliases to a document, its many pages take their turns beside the others' only ones."""
    monkeypatch.setattr(conversations, "ALIASES", 2)
    world = trap.begin(contacts=20, conversation_page=2, longest=2)
    huge = world.contacts[7]
    for number in range(60):
        world.hear(huge, f"And another thing, the {number}th")
    monkeypatch.setattr(conversations, "_ROWS", 1)
    await trap.sync()
    asked = trap.asked("conversation")
    others = walks(trap) - 1
    completed = trap.ask(
        "SELECT count(*) FILTER (WHERE completed_at < (SELECT max(completed_at) FROM volt_ops.walks)) "
        "FROM volt_ops.walks WHERE stream = 'messages'"
    )
    assert asked <= others + 32  # each page once
    assert completed == [(others,)]  # all others were complete before it was
    trap.assert_whole()
