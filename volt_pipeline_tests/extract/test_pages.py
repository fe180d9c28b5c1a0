"""One page of an answer, and how far it brings a walk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from volt_pipeline.batch import Walk
from volt_pipeline.extract.pages import Page, PageError, advance

ASKED = datetime(2026, 3, 4, 12, tzinfo=UTC)


def at(minute: int) -> datetime:
    return ASKED + timedelta(minutes=minute)


def answer(total: Any = 3, cursor: Any = None, more: Any = None, **rest: Any) -> dict[str, Any]:
    info = {"totalItems": total, "nextPage": cursor, "hasNextPage": cursor is not None if more is None else more}
    return {"messages": [], "pageInfo": info, **rest}


def page(total: int = 3, cursor: str | None = None) -> Page:
    return Page.of(answer(total, cursor), "messages", ASKED)


def walk(**state: Any) -> Walk:
    return Walk(**{"stream": "messages", "account_id": "1", "account_phone": "+1", "contact_phone": "+2", **state})


def test_a_page_is_read_as_the_contract_has_it() -> None:
    found = Page.of(answer(7, "next", messages=[{"id": "1"}]), "messages", ASKED)
    assert (found.items, found.total, found.next_cursor, found.asked_at) == ([{"id": "1"}], 7, "next", ASKED)


def test_a_cursor_without_a_next_page_is_no_cursor() -> None:
    assert Page.of(answer(7, "left over", more=False), "messages", ASKED).next_cursor is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"messages": []},
        {"messages": None, "pageInfo": answer()["pageInfo"]},
        answer(pageInfo=None),
        answer(total=None),
        answer(total="3"),
        answer(total=True),
        answer(total=2**63),
    ],
)
def test_what_is_no_page_is_refused(value: Any) -> None:
    with pytest.raises(PageError):
        Page.of(value, "messages", ASKED)


@pytest.mark.parametrize("cursor", [None, "", 5])
def test_a_next_page_that_is_not_named_ends_the_walk_with_an_error_after_its_items(cursor: Any) -> None:
    found = Page.of(answer(9, cursor, more=True, messages=[{"id": "1"}]), "messages", ASKED)
    assert found.items
    under_way = walk()
    with pytest.raises(PageError, match="there is a next page, but not which"):
        advance(under_way, found, [at(0)], set())
    assert not under_way.reached_end


def test_the_last_page_ends_a_walk() -> None:
    under_way, seen = walk(), set[str]()
    advance(under_way, page(cursor="a"), [at(9), at(8)], seen)
    assert (under_way.cursor, under_way.pages, under_way.reached_end) == ("a", 1, False)
    advance(under_way, page(), [at(7)], seen)
    assert (under_way.cursor, under_way.pages, under_way.reached_end) == (None, 2, True)
    assert (under_way.open_top, under_way.oldest, under_way.ordered) == (at(9), at(7), True)


def test_an_empty_page_changes_no_times() -> None:
    under_way = walk(top=at(5))
    advance(under_way, page(), [], set())
    assert (under_way.open_top, under_way.oldest, under_way.below_top) == (None, None, False)
    assert under_way.reached_end


def test_a_walk_may_stop_only_strictly_below_the_top_all_ties_read() -> None:
    under_way, seen = walk(top=at(5)), set[str]()
    advance(under_way, page(cursor="a"), [at(7), at(5)], seen)
    assert not under_way.below_top
    advance(under_way, page(cursor="b"), [at(5), at(4)], seen)
    assert under_way.below_top


@pytest.mark.parametrize(
    ("state", "times"),
    [
        ({"top": None}, [at(7), at(4)]),
        ({"whole": True}, [at(7), at(4)]),
        ({"ordered": False}, [at(7), at(4)]),
        ({}, [at(7), at(4), at(6)]),
        ({}, [at(7), None, at(4)]),
        ({"oldest": at(6)}, [at(7), at(4)]),
    ],
    ids=["never walked", "whole", "seen in disorder before", "in disorder", "a time is missing", "across pages"],
)
def test_a_walk_does_not_stop_early_unless_the_order_was_seen(
    state: dict[str, Any], times: list[datetime | None]
) -> None:
    under_way = walk(**{"top": at(5), **state})
    advance(under_way, page(cursor="a"), times, set())
    assert not under_way.below_top


def test_ties_are_in_order() -> None:
    under_way = walk(top=at(5))
    advance(under_way, page(cursor="a"), [at(7), at(7), at(4)], set())
    assert under_way.ordered
    assert under_way.below_top


def test_a_conversation_counts_by_its_first_page_and_an_inbox_by_its_last() -> None:
    for stream, expected in (("messages", 3), ("inbox_items", 4)):
        under_way, seen = walk(stream=stream), set[str]()
        advance(under_way, page(3, "a"), [at(9)], seen)
        advance(under_way, page(4, "b"), [at(8)], seen)
        assert under_way.total == expected


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "c", "a"], ["\ud800", "\ud800"]])
def test_cursors_that_go_round_in_a_circle_are_noticed(cursors: list[str]) -> None:
    under_way, seen = walk(), set[str]()
    for cursor in cursors[:-1]:
        advance(under_way, page(cursor=cursor), [], seen)
    with pytest.raises(PageError, match="round in a circle"):
        advance(under_way, page(cursor=cursors[-1]), [], seen)


def test_a_walk_that_never_ends_is_ended() -> None:
    under_way, seen = walk(), set[str]()

    def walk_on_and_on() -> None:
        for number in range(5_000):
            advance(under_way, page(3, f"cursor {number}"), [], seen)

    with pytest.raises(PageError, match="pages for 3 items"):
        walk_on_and_on()
    assert under_way.pages < 1_100


def test_the_items_of_a_long_walk_do_not_count_against_it() -> None:
    under_way, seen = walk(), set[str]()
    for number in range(3_000):
        advance(under_way, page(3_000, f"cursor {number}"), [], seen)
    assert under_way.pages == 3_000
