"""From an event's body to what is read again: tolerant of form, deaf to content, and only for what is ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.batch import Target
from volt_pipeline.event import Hint
from volt_pipeline.webhooks.aims import Known, Stray, aim
from volt_pipeline.webhooks.hints import Unreadable, read_hint

OURS, POOLED, SISTER, ANN = "+19185550100", "+19185550177", "+16025550100", "+19185559998"
SEEN = {
    "event_type": "message.received",
    "text": "ok",
    "type": "sms",
    "direction": "inbound",
    "to_number": OURS,
    "from_number": ANN,
}
KNOWN = Known(
    accounts={"1": OURS, "2": SISTER},
    numbers={OURS: "1", SISTER: "2", "+13035550100": "3"},
    messages={"rf_1": ("1", ANN), "rf_3": ("3", ANN)},
    holders={ANN: ["1"]},
)


def hint_of(value: Any) -> Hint:
    return read_hint(json.dumps(value).encode())


def test_the_form_that_was_seen_in_the_wild() -> None:
    assert hint_of({"payload": SEEN}) == Hint("message.received", "inbound", "", ANN, OURS)


@pytest.mark.parametrize(
    "body",
    [
        {"payload": {**SEEN, "id": "rf_1"}},
        {"type": "message.received", "timestamp": "2026-03-04", "data": {**SEEN, "event_type": None, "id": "rf_1"}},
        {"id": "evt_9", "payload": {**SEEN, "message_id": "rf_1"}},
        {"payload": {"event_type": "message.received", "message": {**SEEN, "id": "rf_1"}, "id": "evt_9"}},
        {**SEEN, "id": "rf_1"},
        {
            "payload": {
                "eventType": "message.received",
                "direction": "inbound",
                "messageId": "rf_1",
                "fromNumber": "+1 (918) 555-9998",
                "toNumber": 9185550100,
            }
        },
    ],
)
def test_other_forms_say_the_same(body: Any) -> None:
    assert hint_of(body) == Hint("message.received", "inbound", "rf_1", ANN, OURS)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xff", "no JSON"),
        (b"", "no JSON"),
        (b"[" * 60_000, "no JSON"),
        (b"[1]", "no JSON object"),
        (b"{}", "names neither a message nor the two numbers"),
        (b'{"payload": {"from_number": "+19185559998"}}', "names neither"),
        (b'{"payload": {"id": "\\u0000", "from_number": "Ann", "to_number": {}}}', "names neither"),
        (b'{"payload": {"id": true}, "id": "evt_1"}', "names neither"),
    ],
)
def test_what_hints_at_nothing(body: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read_hint(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["payload", "data", "message", "id", "from", "to_number", "type"]), inner)
        ),
    )
)
def test_whatever_is_in_it_a_body_is_read_or_set_aside(value: Any) -> None:
    """And what is read fits the columns of text: no NUL, no lone surrogate."""
    try:
        hint = read_hint(json.dumps(value).encode())
    except Unreadable:
        return
    for part in (hint.event_type, hint.message_id, hint.from_number, hint.to_number):
        assert part.isascii()
        assert part.isprintable()
        assert len(part) <= 100


def target(account: str = "1", phone: str = ANN) -> Target:
    return Target(account, f"{account}|{phone}", phone)


def test_a_message_that_is_held_is_asked_by_its_id_alone() -> None:
    found = aim(Hint("message.finalized", "outbound", "rf_1", OURS, ANN), KNOWN)
    assert found.targets == {("message", Target("1", "rf_1", ANN))}


def test_news_is_read_in_its_conversation_and_who_wrote_is_asked() -> None:
    found = aim(Hint("message.received", "inbound", "rf_2", ANN, OURS), KNOWN)
    assert found.targets == {("conversation", target()), ("contact", target())}
    found = aim(Hint("message.sent", "outbound", "rf_2", OURS, ANN), KNOWN)
    assert found.targets == {("conversation", target())}


def test_a_text_between_our_own_accounts_stands_in_two_conversations() -> None:
    found = aim(Hint("message.sent", "outbound", "", OURS, SISTER), KNOWN)
    assert set(found.conversations) == {target("1", SISTER), target("2", OURS)}


def test_a_pool_number_that_is_not_learned_yet_is_found_by_the_contact() -> None:
    found = aim(Hint("message.received", "inbound", "", ANN, POOLED), KNOWN)
    assert set(found.conversations) == {target()}


@pytest.mark.parametrize(
    "hint",
    [
        Hint("message.received", "inbound", "", "+12025550143", "+12025550144"),
        Hint("message.received", "inbound", "", "+12025550143", "+13035550100"),  # of an account that is not synced
        Hint("message.finalized", "outbound", "rf_3"),
        Hint("message.finalized", "outbound", "rf_none"),
        Hint("message.received", "inbound", "", OURS, OURS),
    ],
)
def test_what_is_not_ours_leads_nowhere(hint: Hint) -> None:
    with pytest.raises(Stray) as caught:
        aim(hint, KNOWN)
    assert "+1" not in str(caught.value)
