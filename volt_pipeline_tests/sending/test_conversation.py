"""Which text of a conversation may be an intent: the same words to the same person, after what stood there before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from volt_pipeline.sending.conversation import SKEW, Text, likely, same_phone
from volt_pipeline.sending.intents import Intent, normalised
from volt_pipeline.sending.reconcile import LOOKS, next_look

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
ME, ANN = "+19185550100", "+19185550123"
INTENT = Intent(
    intent_id=1,
    intent_key="k",
    kind="message",
    account_phone=ME,
    body="Café\nat noon",
    expires_at=AT,
    to_phone=ANN,
    snapshot=frozenset({"rf_0"}),
    snapshot_top=AT,
)
RIGHT = Text("rf_1", ANN, ME, "Café at noon", media=False, at=AT)


def test_the_same_words_to_the_same_person() -> None:
    assert likely(INTENT, [RIGHT]) == ["rf_1"]


@pytest.mark.parametrize(
    "text",
    [
        replace(RIGHT, at=None),  # Volt names no time for what it has only queued
        replace(RIGHT, at=AT - SKEW),
        replace(RIGHT, sender="+16025550500"),  # a pool number
        replace(RIGHT, to="(918) 555-0123"),
        replace(RIGHT, body="  Cafe\u0301   at\u00a0noon "),
    ],
    ids=["no time", "another clock", "pool", "as written there", "other forms"],
)
def test_what_may_differ(text: Text) -> None:
    assert likely(INTENT, [text]) == ["rf_1"]


@pytest.mark.parametrize(
    "text",
    [
        replace(RIGHT, id="rf_0"),
        replace(RIGHT, id=""),
        replace(RIGHT, at=AT - SKEW - timedelta(seconds=1)),
        replace(RIGHT, to=ME, sender=ANN),
        replace(RIGHT, to="+19185550124"),
        replace(RIGHT, to="5550123"),
        replace(RIGHT, body="café at noon"),
        replace(RIGHT, body="Café at noon!"),
        replace(RIGHT, media=True),
    ],
    ids=["there before", "no id", "too old", "inbound", "someone else", "too short", "case", "more", "a picture"],
)
def test_what_may_not(text: Text) -> None:
    assert likely(INTENT, [text]) == []


def test_a_phone_is_the_same_with_its_country_code_or_without() -> None:
    assert same_phone("1-918-555-0123", ANN)
    assert not same_phone("", ANN)
    assert not same_phone("+29185550123", ANN)


def test_nothing_of_a_person_is_in_a_repr() -> None:
    shown = repr(INTENT) + repr(RIGHT)
    assert "Caf" not in shown
    assert ANN not in shown
    assert normalised("a \n b") == "a b"


def test_the_looks_come_ever_later_and_end() -> None:
    seen, now = [], AT
    while (due := next_look(AT, now)) is not None:
        seen.append(due - AT)
        now = due
    assert seen == list(LOOKS)
    assert next_look(AT, AT + timedelta(days=1)) is None
