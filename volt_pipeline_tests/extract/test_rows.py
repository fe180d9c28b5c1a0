"""Volt's JSON → rows: nothing that Volt says is lost or guessed, and nothing that it says gets into an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from volt_pipeline.catalog import CONTACTS, INBOX_ITEMS, LISTS, MESSAGES, STREAMS, WEBHOOKS, Stream
from volt_pipeline.extract.rows import RowError, escape, json_text, moment, row, unescape

ASKED = datetime(2026, 3, 4, 12, tzinfo=UTC)
ANY_CHARACTER = st.characters(codec=None, exclude_categories=())
PIECES = ["\\", "\\\\", "u", "u0000", "ud800", "udfff", "uD800", "ue000", "\\u0000", "\x00", "\ud83d", "\udc00", "0"]
TEXTS = st.one_of(st.text(ANY_CHARACTER), st.lists(st.sampled_from(PIECES)).map("".join))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**30), 10**30), TEXTS)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8)


@pytest.fixture(scope="module")
def postgres(server_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(server_url) as connection:
        connection.execute("CREATE TEMP TABLE held (as_text text, as_json jsonb)")
        yield connection
        connection.rollback()


def held(stream: Stream, source: Any, **ours: Any) -> dict[str, Any]:
    return dict(zip((*stream.column_names, "asked_at"), row(stream, source, ASKED, ours), strict=True))


def unescape_deep(value: Any) -> Any:
    if isinstance(value, str):
        return unescape(value)
    if isinstance(value, list):
        return [unescape_deep(item) for item in value]
    if isinstance(value, dict):
        return {unescape(key): unescape_deep(item) for key, item in value.items()}
    return value


@given(TEXTS)
@example("\\\x00")
@example("\\u0000\x00u0000")
@example("\ud83d\ude00")
def test_escaping_is_reversible(text: str) -> None:
    assert unescape(escape(text)) == text


@given(st.text())
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    if "\x00" not in text and "\\" not in text:
        assert escape(text) == text


@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_escaped_text_is_stored_and_comes_back(postgres: psycopg.Connection[tuple[Any, ...]], text: str) -> None:
    cursor = postgres.execute("INSERT INTO held (as_text) VALUES (%s) RETURNING as_text", [escape(text)])
    (found,) = cursor.fetchone() or ("",)
    assert unescape(found) == text


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
@example({"\x00": 1, "\\u0000": 2, "\ud800": [2**80]})
def test_any_json_is_stored_and_comes_back(postgres: psycopg.Connection[tuple[Any, ...]], value: Any) -> None:
    cursor = postgres.execute(
        "INSERT INTO held (as_json) VALUES (%s::jsonb) RETURNING as_json::text", [json_text(value)]
    )
    (found,) = cursor.fetchone() or ("null",)
    assert unescape_deep(json.loads(found)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-03-29T20:00:35.344134Z", datetime(2021, 3, 29, 20, 0, 35, 344134, tzinfo=UTC)),
        ("2021-03-29t20:00:35z", datetime(2021, 3, 29, 20, 0, 35, tzinfo=UTC)),
        ("2021-03-29T20:00:35.1Z", datetime(2021, 3, 29, 20, 0, 35, 100000, tzinfo=UTC)),
        ("2021-03-29T20:00:35.123456789Z", datetime(2021, 3, 29, 20, 0, 35, 123456, tzinfo=UTC)),
        ("2021-03-29T20:00:35+05:30", datetime(2021, 3, 29, 14, 30, 35, tzinfo=UTC)),
        ("2021-03-29 20:00:35", datetime(2021, 3, 29, 20, 0, 35, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("", None),
    ],
)
def test_times(text: str, expected: datetime | None) -> None:
    found = moment(text)
    assert found == expected
    assert found is None or found.utcoffset() == UTC.utcoffset(None)


@pytest.mark.parametrize(
    "value",
    [
        "2021-W13-1T20:00:35Z",
        "2021-088T20:00:35Z",
        "20210329T200035Z",
        "2021-03-29",
        "2021-03-29T20:00Z",
        "2021-03-29T20:00:35Z ",
        "2021-03-29T20:00:35,5Z",
        "2021-03-29T20:00:35+0530",
        "٢٠٢١-03-29T20:00:35Z",
        "yesterday",
        1617048035,
        True,
        ["2021-03-29T20:00:35Z"],
    ],
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(RowError, match=r"^is no RFC 3339 time$"):
        moment(value)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-01:00",
        "2021-02-30T00:00:00Z",
        "2021-03-29T25:00:00Z",
        "2021-03-29T20:00:00+24:00",
        "0000-01-01T00:00:00Z",
    ],
)
def test_a_time_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(RowError, match=r"^is no time that exists$"):
        moment(text)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_row_has_the_columns_of_its_stream_and_the_moment(stream: Stream) -> None:
    ours = dict.fromkeys(stream.key, "k")
    made = row(stream, {"news": 1}, ASKED, ours)
    assert len(made) == len(stream.columns) + 1
    assert made[-1] == ASKED
    assert {name for name, value in zip(stream.column_names, made, strict=False) if value is not None} == set(ours)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
@pytest.mark.parametrize("missing", [None, ""])
def test_without_its_key_a_row_is_refused(stream: Stream, missing: str | None) -> None:
    for name in stream.key:
        ours = {**dict.fromkeys(stream.key, "k"), name: missing}
        with pytest.raises(RowError, match=f"^{name} is missing$"):
            row(stream, {}, ASKED, ours)


def test_ids_as_integers_are_text() -> None:
    found = held(WEBHOOKS, {"id": 1234, "organization": {"id": 7}})
    assert (found["id"], found["organization_id"]) == ("1234", "7")


def test_nested_media_are_kept_as_they_come() -> None:
    found = held(MESSAGES, {"id": "rf_1", "media": [["https://example.com/image.png"]]})
    assert json.loads(found["media"]) == [["https://example.com/image.png"]]


def test_nulls_where_the_contract_has_none_are_null() -> None:
    found = held(MESSAGES, {"id": "rf_1", "status": None, "sentAt": None, "body": None, "account": None, "wave": None})
    assert {found[name] for name in ("status", "sent_at", "body", "account_id", "wave_id")} == {None}


def test_ours_stands_in_only_where_volt_says_nothing() -> None:
    assert held(CONTACTS, {"id": "1", "account": None}, account_id="9")["account_id"] == "9"
    assert held(CONTACTS, {"id": "1", "account": {"id": None}}, account_id="9")["account_id"] == "9"
    assert held(CONTACTS, {"id": "1", "account": {"id": "8"}}, account_id="9")["account_id"] == "8"


def test_an_object_where_another_was_expected_is_nothing() -> None:
    assert held(INBOX_ITEMS, {"contact": "x"}, account_id="9", contact_phone="p")["contact_id"] is None


def test_unknown_words_and_other_types_are_kept_as_text() -> None:
    found = held(MESSAGES, {"id": "rf_1", "status": "teleported", "statusDescription": {"code": 5}, "body": 7})
    assert (found["status"], found["status_description"], found["body"]) == ("teleported", '{"code":5}', "7")


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (-5, -5), ("42", 42), (2**63 - 1, 2**63 - 1)])
def test_whole_numbers(value: Any, expected: int) -> None:
    assert held(LISTS, {"id": "1", "size": value})["size"] == expected


@pytest.mark.parametrize(
    ("stream", "source", "reason"),
    [
        (MESSAGES, {"sentAt": "SECRET"}, "sentAt is no RFC 3339 time"),
        (MESSAGES, {"confirmedAt": "2021-02-30T00:00:00Z"}, "confirmedAt is no time that exists"),
        (LISTS, {"size": "SECRET"}, "size is no whole number"),
        (LISTS, {"size": 1.5}, "size is no whole number"),
        (LISTS, {"size": True}, "size is no whole number"),
        (LISTS, {"size": 2**63}, "size is too large a number"),
        (CONTACTS, {"blocked": "SECRET"}, "blocked is neither true nor false"),
        (CONTACTS, {"blocked": 1}, "blocked is neither true nor false"),
        (INBOX_ITEMS, {"lastMessageTime": ["SECRET"]}, "lastMessageTime is no RFC 3339 time"),
        (MESSAGES, ["SECRET"], "the row is no object"),
        (MESSAGES, None, "the row is no object"),
    ],
)
def test_a_value_that_cannot_be_stored_is_refused_by_its_field_alone(stream: Stream, source: Any, reason: str) -> None:
    given = {"id": "1", **source} if isinstance(source, dict) else source
    with pytest.raises(RowError) as caught:
        row(stream, given, ASKED, dict.fromkeys(stream.key, "k"))
    assert str(caught.value) == reason
    shown = caught.value.__cause__ or (None if caught.value.__suppress_context__ else caught.value.__context__)
    assert shown is None
