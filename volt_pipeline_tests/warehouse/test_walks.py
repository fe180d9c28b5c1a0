"""When a walk is complete: judged by Volt's own count, in the transaction that writes its last page."""

from __future__ import annotations

from typing import Any

from volt_pipeline.batch import Batch, Reject, Walk
from volt_pipeline.catalog import INBOX_ITEMS, MESSAGES
from volt_pipeline.warehouse.load import Loader

from .loading import PHONE, ask, at, batch, loading, made, message

HELD = "SELECT total, held, rejected, gap, retry_at IS NULL FROM volt_ops.walks"


def ended(stream: str = "messages", **state: Any) -> Walk:
    """A walk that has read its last page."""
    usual = {"contact_phone": "+2" if stream == "messages" else "", "opened_at": at(0), "pages": 1, "reached_end": True}
    return Walk(**{"stream": stream, "account_id": "a", "account_phone": PHONE, **usual, **state})


async def finished(loader: Loader, walk: Walk, *messages: str, rejects: tuple[Reject, ...] = ()) -> bool:
    """Whether the walk is complete once these messages are written with it."""
    filled = batch(*((MESSAGES, message(at(1), identity)) for identity in messages))
    filled.walks[walk.key] = walk
    filled.rejects.extend(rejects)
    return walk.key in await loader.load(filled)


def refused(key: str, stream: str = "messages") -> Reject:
    return Reject(stream, "a", key, "unreadable", contact_phone="+2" if stream == "messages" else "")


async def test_a_walk_to_the_end_is_complete_and_its_gap_is_published(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        assert await finished(loader, ended(total=2), "rf_1", "rf_2")
        assert ask(warehouse_url, HELD) == [(2, 2, 0, 0, True)]
        assert await finished(loader, ended(total=4))
        assert ask(warehouse_url, HELD) == [(4, 2, 0, 2, False)]  # and is due for another try


async def test_a_walk_that_stops_early_is_complete_only_if_the_count_agrees(warehouse_url: str) -> None:
    early: dict[str, Any] = {"reached_end": False, "below_top": True, "cursor": "next"}
    async with loading(warehouse_url) as loader:
        assert not await finished(loader, ended(total=3, **early), "rf_1", "rf_2")
        assert ask(warehouse_url, "SELECT cursor, completed_at FROM volt_ops.walks") == [("next", None)]
        assert await finished(loader, ended(total=3, **early), "rf_3")
        assert await finished(loader, ended(total=5, gap=2, **early))  # no more is missing than was before
        assert not await finished(loader, ended(total=5, gap=1, **early))


async def test_a_walk_under_way_is_never_complete(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        assert not await finished(loader, ended(total=1, reached_end=False, cursor="next"), "rf_1")


async def test_what_was_refused_counts_as_accounted_for(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        assert await finished(loader, ended(total=3), "rf_1", rejects=(refused("rf_2"), refused("")))
        assert ask(warehouse_url, HELD) == [(3, 1, 2, 0, False)]  # no gap, but what was refused is read again


async def test_a_message_that_is_held_and_refused_now_counts_once(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        assert await finished(loader, ended(total=1), "rf_1")
        assert await finished(loader, ended(total=1), rejects=(refused("rf_1"),))
        assert ask(warehouse_url, HELD) == [(1, 1, 0, 0, True)]


async def test_an_inbox_item_that_is_held_and_refused_now_counts_once(warehouse_url: str) -> None:
    item = made(INBOX_ITEMS, at(1), account_id="a", contact_phone="+2")
    async with loading(warehouse_url) as loader:
        await loader.load(batch((INBOX_ITEMS, item)))
        again = (refused("a|+2", "inbox_items"),)
        assert await finished(loader, ended("inbox_items", total=1), rejects=again)
        assert ask(warehouse_url, HELD) == [(1, 1, 0, 0, True)]


async def test_an_inbox_that_failed_as_a_whole_is_no_row_of_it(warehouse_url: str) -> None:
    async with loading(warehouse_url) as loader:
        await loader.load(Batch(rejects=[refused("a", "inbox_items")]))
        await loader.load(batch((INBOX_ITEMS, made(INBOX_ITEMS, at(1), account_id="a", contact_phone="+2"))))
        assert await finished(loader, ended("inbox_items", total=1))
        assert ask(warehouse_url, HELD) == [(1, 1, 0, 0, True)]
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.rejects WHERE resolved_at IS NULL") == [(0,)]
