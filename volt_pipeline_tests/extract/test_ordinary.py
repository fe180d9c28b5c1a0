"""The short way to rows comes to the same rows as the long one, or leaves the page to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.catalog import CONTACTS, INBOX_ITEMS, MESSAGES, Stream
from volt_pipeline.extract.ordinary import ordinary_rows
from volt_pipeline.extract.rows import RowError, row

ASKED = datetime(2026, 3, 4, 12, tzinfo=UTC)
CONTACT: dict[str, Any] = {
    "id": "7",
    "account": {"id": "1"},
    "organization": {"id": "2"},
    "phoneNumber": "+15555550123",
    "name": "Zoë",
    "mappedNumber": "",
    "customFields": [{"key": "size", "type": "text", "value": "a \U0001f642"}],
    "createdAt": "2026-01-02T03:04:05Z",
    "lastUpdatedAt": None,
    "blocked": False,
}
ITEM: dict[str, Any] = {
    "lastMessage": "Yes",
    "isUnread": True,
    "lastMessageTime": "2026-01-02T03:04:05.678+00:00",
    "contact": CONTACT,
}
MESSAGE: dict[str, Any] = {
    "id": "rf_1",
    "legacyId": "",
    "account": {"id": "1"},
    "organization": {"id": "2"},
    "toNumber": "+15555550123",
    "fromNumber": "+15555550000",
    "status": "delivered",
    "statusDescription": None,
    "media": [],
    "body": "Grüße \U0001f642",
    "sentAt": "2026-01-02T03:04:05.678901+00:00",
    "confirmedAt": "",
    "wave": None,
    "contact": {"id": "7"},
}
STREAMS = [(MESSAGES, MESSAGE), (CONTACTS, CONTACT), (INBOX_ITEMS, ITEM)]
TIMES = ["", "2026-01-02T03:04:05Z", "2026-01-02t03:04:05z", "2026-01-02 03:04:05", "2026-01-02T03:04:05,5Z", "now"]
TIMES += ["2026-01-02T03:04:05-07:00", "20260102T030405Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "\n"]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from([*TIMES, "\\u0000", "\\", "u0000", "a\x00b", "\ud83d", "12", "rf_2"]),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(
        st.sampled_from(["id", "phoneNumber", "x"]), st.one_of(st.none(), st.text(max_size=3), st.integers())
    ),
)


def every_other(items: Sequence[Any]) -> list[bool]:
    """A column of ours that differs from item to item."""
    return [at % 2 == 0 for at in range(len(items))]


DERIVED = {"is_final": every_other}


def long_way(stream: Stream, items: list[Any], ours: dict[str, Any]) -> Any:
    """The rows, one by one; the reason where one of them cannot be made."""
    try:
        return [
            row(stream, item, ASKED, {**ours, "is_final": each})
            for item, each in zip(items, every_other(items), strict=True)
        ]
    except RowError as error:
        return str(error)


@pytest.mark.parametrize(("stream", "item"), STREAMS, ids=lambda value: getattr(value, "name", ""))
def test_what_the_contract_says_is_taken_at_once(stream: Stream, item: dict[str, Any]) -> None:
    items = [item, {**item, "extra": object()}]
    made = ordinary_rows(stream, items, ASKED, {"account_id": "1"}, DERIVED)
    assert made is not None
    assert made == long_way(stream, items, {"account_id": "1"})


def test_an_empty_page_has_no_rows() -> None:
    assert ordinary_rows(MESSAGES, [], ASKED, {}, {}) == []


@pytest.mark.parametrize(("stream", "item"), STREAMS, ids=lambda value: getattr(value, "name", ""))
@given(data=st.data())
def test_whatever_comes_both_ways_come_to_the_same(stream: Stream, item: dict[str, Any], data: st.DataObject) -> None:
    items: list[Any] = []
    for _ in range(data.draw(st.integers(1, 3))):
        changed = {**item, **data.draw(st.dictionaries(st.sampled_from(sorted(item)), ODD, max_size=2))}
        for name in data.draw(st.lists(st.sampled_from(sorted(item)), max_size=1)):
            changed.pop(name)
        items.append(data.draw(st.sampled_from([changed, changed, changed, None, "text", []])))
    ours = data.draw(st.sampled_from([{}, {"account_id": "9"}, {"account_id": "9", "contact_phone": "+1"}]))
    made = ordinary_rows(stream, items, ASKED, ours, DERIVED)
    assert made is None or made == long_way(stream, items, ours)
