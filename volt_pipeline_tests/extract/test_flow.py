"""What goes on side by side: conversations start while the inbox is paged, and a huge one does not hold the others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from volt_pipeline.batch import Batch, Walk
from volt_pipeline.catalog import CONVERSATIONS
from volt_pipeline.extract import behind, conversations, frontier
from volt_pipeline.extract.frontier import Frontier
from volt_pipeline.extract.reader import Reader
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


class Held:
    """A store whose first write never ends."""

    def __init__(self) -> None:
        self.written: list[Batch] = []
        self.begun = asyncio.Event()

    async def load(self, batch: Batch) -> set[tuple[str, str, str]]:
        if not self.begun.is_set():
            self.begun.set()
            await asyncio.Event().wait()
        self.written.append(batch)
        return set()


async def test_a_page_is_never_written_without_those_before_it() -> None:
    """Whatever calls its writing off: the next write holds it, too, and then the later state of its walk."""
    store, key = Held(), ("messages", "1", "+2")
    walker = conversations._Walker(Reader(cast(Any, None), cast(Any, store), lambda *_: None), Frontier(9))

    def read(page: int) -> None:
        walk = Walk("messages", "1", "+1", "+2", cursor=f"after {page}", pages=page)
        walker._batch.add(CONVERSATIONS, ("1", f"page {page}", 1, datetime.now(UTC)))
        walker._batch.walks[key] = walk

    read(1)
    writing = asyncio.create_task(walker.write())
    await store.begun.wait()
    read(2)
    writing.cancel()
    await asyncio.wait([writing])
    await walker.write()
    (written,) = store.written
    assert [phone for _, phone in written.rows["conversations"]] == ["page 1", "page 2"]
    assert written.walks[key].pages == 2
