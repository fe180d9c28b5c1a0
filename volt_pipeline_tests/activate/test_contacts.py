"""What is written of a contact: consent only ever ratchets up, nothing that Volt holds is lost, nothing twice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.activate.contacts import ContactWish, decide, differences, held_fields, wishes

ACCOUNT, PHONE = "+15555554321", "+15555556893"
NAMES = st.sampled_from(["", " ", "Ann", " Ann ", "Bob", "{contact.first_name}", "ünï"])
KEYS = st.sampled_from(["tier", "tier ", "last_purchase", "", "🧱"])
VALUES = st.sampled_from(["", "gold", "gold ", "5", "\x00"])
FIELDS = st.dictionaries(KEYS, VALUES)


@st.composite
def contacts(draw: st.DrawFn) -> dict[str, Any]:
    """A contact as Volt answers it."""
    fields = draw(FIELDS)
    return {
        "id": "1",
        "phoneNumber": PHONE,
        "name": draw(NAMES),
        "blocked": draw(st.booleans()),
        "customFields": [{"key": key, "type": "string", "value": value} for key, value in fields.items()],
    }


@st.composite
def wanted(draw: st.DrawFn) -> ContactWish:
    blocked = draw(st.one_of(st.none(), st.booleans()))
    return ContactWish(ACCOUNT, PHONE, draw(st.none() | NAMES), draw(st.none() | FIELDS), blocked)


def wish(**values: Any) -> ContactWish:
    return ContactWish(ACCOUNT, PHONE, **{"name": None, "custom_fields": None, "blocked": None, **values})


def contact(**values: Any) -> dict[str, Any]:
    return {"id": "1", "phoneNumber": PHONE, "name": "Ann", "blocked": False, "customFields": [], **values}


def applied(current: Mapping[str, Any] | None, variables: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """The contact after the mutation, by either reading of what Volt does with custom fields."""
    fields = held_fields(current or {}) if mode == "merge" else {}
    fields |= {entry["key"]: entry["value"] for entry in variables["customFields"]}
    listed = [{"key": key, "type": "string", "value": value} for key, value in fields.items()]
    return {**(current or {"id": "2"}), **{k: variables[k] for k in ("name", "blocked")}, "customFields": listed}


@given(wanted(), st.none() | contacts(), st.sampled_from(["merge", "replace"]))
def test_after_a_push_there_is_nothing_left_to_push(asked: ContactWish, current: Any, mode: str) -> None:
    decision = decide(asked, current)
    if decision.variables is None:
        return
    assert decision.action == ("create" if current is None else "update")
    after = applied(current, decision.variables, mode)
    assert differences(decision.variables, after) == []
    assert decide(asked, after).action == "unchanged"


@given(wanted(), contacts(), st.sampled_from(["merge", "replace"]))
def test_what_volt_holds_is_never_lost(asked: ContactWish, current: dict[str, Any], mode: str) -> None:
    decision = decide(asked, current)
    after = current if decision.variables is None else applied(current, decision.variables, mode)
    assert after["blocked"] >= current["blocked"]
    assert held_fields(after) == held_fields(current) | dict(asked.custom_fields or {})
    assert after["name"].strip() or not current["name"].strip()


@given(wanted(), contacts())
def test_what_is_wished_is_what_is_meant(asked: ContactWish, current: dict[str, Any]) -> None:
    decision = decide(asked, current)
    meant = decision.variables or {"name": current["name"], "blocked": current["blocked"]}
    assert meant["name"] == ((asked.name or "").strip() or current["name"])
    assert meant["blocked"] == (current["blocked"] or bool(asked.blocked))


@pytest.mark.parametrize("blocked", [False, None])
def test_a_push_never_unblocks(blocked: bool | None) -> None:
    assert decide(wish(blocked=blocked), contact(blocked=True)).action == "unchanged"
    decision = decide(wish(blocked=blocked, name="Bea"), contact(blocked=True))
    assert decision.variables
    assert decision.variables["blocked"] is True
    assert ("never un-blocks" in decision.reason) == (blocked is False)


def test_a_reason_names_fields_and_no_values() -> None:
    decision = decide(wish(name="Secret", custom_fields={"tier": "Hidden"}, blocked=True), contact())
    assert decision.reason == "changed: custom field tier, name, blocked"


@pytest.mark.parametrize("name", [None, "", "  "])
def test_a_new_contact_needs_a_name(name: str | None) -> None:
    decision = decide(wish(name=name), None)
    assert (decision.action, decision.variables) == ("refused", None)


def test_a_new_contact_is_made_whole() -> None:
    decision = decide(wish(name=" Ann ", custom_fields={"tier": "gold"}), None)
    assert decision.variables == {
        "name": "Ann",
        "phoneNumber": PHONE,
        "accountPhone": ACCOUNT,
        "customFields": [{"key": "tier", "value": "gold"}],
        "blocked": False,
    }


@pytest.mark.parametrize("fields", [{"age": 5}, {"tier": None}, {"tier": ["gold"]}, ["gold"], "gold"])
def test_custom_fields_that_are_no_strings_are_refused(fields: Any) -> None:
    for current in (None, contact()):
        decision = decide(wish(name="Ann", custom_fields=fields), current)
        assert (decision.action, decision.variables) == ("refused", None)


@pytest.mark.parametrize("unsaid", [{"blocked": None}, {"customFields": None}])
def test_a_contact_that_volt_does_not_show_in_full_is_not_written(unsaid: dict[str, Any]) -> None:
    decision = decide(wish(name="Bea"), contact(**unsaid))
    assert (decision.action, decision.variables) == ("refused", None)


def test_a_name_that_volt_does_not_show_is_not_made_up() -> None:
    decision = decide(wish(blocked=True), contact(name=None))
    assert decision.variables is None or decision.variables["name"] == ""


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ({"blocked": False}, ["blocked"]),
        ({"blocked": None}, ["blocked"]),
        ({"name": "Bob"}, ["name"]),
        ({"customFields": []}, ["custom field tier"]),
        ({"customFields": None}, ["custom field tier"]),
        ({"customFields": [{"key": "tier", "type": "string", "value": "tin"}]}, ["custom field tier"]),
    ],
)
def test_an_answer_that_is_not_what_was_meant_is_noticed(answer: dict[str, Any], named: list[str]) -> None:
    decision = decide(wish(name="Bea", custom_fields={"tier": "gold"}, blocked=True), contact())
    assert decision.variables
    assert differences(decision.variables, {**applied(contact(), decision.variables, "merge"), **answer}) == named


def test_the_rows_of_an_export_become_wishes() -> None:
    frame = pd.DataFrame(
        [
            [ACCOUNT, "+1", "Ann", {"tier": "gold"}, True],
            [ACCOUNT, "+2", None, '{"tier": "tin"}', False],
            [ACCOUNT, "+3", math.nan, None, None],
        ],
        columns=["account_phone", "phone_number", "name", "custom_fields", "blocked"],
    )
    assert wishes(frame) == [
        ContactWish(ACCOUNT, "+1", "Ann", {"tier": "gold"}, True),
        ContactWish(ACCOUNT, "+2", None, {"tier": "tin"}, False),
        ContactWish(ACCOUNT, "+3", None, None, None),
    ]
    assert wishes(frame.head(0)) == []


def test_wishes_show_nobody_in_a_repr() -> None:
    shown = repr(ContactWish(ACCOUNT, PHONE, "Ann", {"tier": "gold"}, True))
    assert PHONE not in shown
    assert "Ann" not in shown
    assert "gold" not in shown
