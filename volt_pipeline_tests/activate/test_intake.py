"""What comes in from an export: phones as people write them, repeated rows, our own numbers, rules and their types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from volt_pipeline.activate.backoff import MOST_TRIES, waits
from volt_pipeline.activate.contacts import CONTACTS, ContactWish
from volt_pipeline.activate.intake import take_in
from volt_pipeline.activate.lists import LISTS, ListWish, size_doubt
from volt_pipeline.activate.planning import estimated, export_digest, make_plan, shown
from volt_pipeline.activate.rows import Facts, Failure, Refusal, Row, masked
from volt_pipeline.activate.rules import checked

ME, BERLIN, NOW = "+19185550100", "+493012345678", datetime(2026, 1, 1, tzinfo=UTC)
FACTS = Facts(frozenset({ME, BERLIN}), NOW, own_numbers=frozenset({"+19185559999"}))
TYPES = {
    "tier": frozenset({"string"}),
    "age": frozenset({"number"}),
    "born": frozenset({"date"}),
    "vip": frozenset({"boolean"}),
    "odd": frozenset({"json"}),
}


def taken(*rows: tuple[Any, ...]) -> list[Row[ContactWish]]:
    columns = ["account_phone", "phone_number", "name", "custom_fields", "blocked"]
    frame = pd.DataFrame(list(rows), columns=columns, dtype=object)
    return take_in(CONTACTS, frame, FACTS)


def person(phone: Any, account: Any = ME, **values: Any) -> tuple[Any, ...]:
    given = {"name": "Ann", "custom_fields": None, "blocked": None, **values}
    return (account, phone, *given.values())


@pytest.mark.parametrize(
    ("written", "account", "key"),
    [
        ("+19185550123", ME, "+19185550123"),
        ("(918) 555-0123", ME, "+19185550123"),
        ("1 918.555.0123", ME, "+19185550123"),
        ("030 1234567", BERLIN, "+49301234567"),
        ("+1 918 555 0123", BERLIN, "+19185550123"),
        ("(918) 555-0123", "+1 918-555-0100", "+19185550123"),
    ],
)
def test_phones_are_read_as_the_account_s_country_writes_them(written: str, account: str, key: str) -> None:
    (row,) = taken(person(written, account))
    assert (row.settled, row.key) == ("", key)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (person("12"), "too few or too many digits"),
        (person("call me"), "something else than a phone number"),
        (person("+1 918 555 0123 ext 5"), "something else than a phone number"),
        (person("٩١٨٥٥٥٠١٢٣"), "something else than a phone number"),
        (person("+19185559999"), "one of our own numbers"),
        (person("(918) 555-0100"), "one of our own numbers"),
        (person("+19185550123", "+15555550000"), "not in VOLT_ACCOUNTS"),
        (person("+19185550123", "home"), "not in VOLT_ACCOUNTS"),
        (person(None), "is missing"),
        (person("+19185550123", None), "is missing"),
        (person("+19185550123", custom_fields={"age": 5}), "must be strings"),
        (person("+19185550123", custom_fields=["age"]), "must be strings"),
        (person("+19185550123", custom_fields="{"), "no JSON"),
        (person("+19185550123", name=5), "name is no text"),
        (person("+19185550123", blocked="maybe"), "neither true, false nor empty"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_without_naming_anybody(row: tuple[Any, ...], reason: str) -> None:
    (found,) = taken(row)
    assert found.settled == "refused"
    assert reason in found.reason
    assert str(row[1]) not in found.reason
    assert not found.wish


def test_rows_about_one_person_are_one_or_none() -> None:
    same = taken(person("+19185550123"), person("(918) 555-0123"))
    assert [row.settled for row in same] == ["", "unchanged"]
    differing = taken(person("+19185550123"), person("(918) 555-0123", name="Bob"), person("+19185550124"))
    assert [row.settled for row in differing] == ["refused", "refused", ""]
    assert "2 rows of the export are about this one and differ" in differing[0].reason


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (("age", "gte", 5), "5"),
        (("age", "gte", "05"), "5"),
        (("age", "lt", "2.5"), "2.5"),
        (("born", "bf", "2026-06-01"), '"2026-06-01"'),
        (("tier", "is", "gold"), '"gold"'),
        (("tier", "nc", ""), '""'),
        (("vip", "is", "true"), "true"),
        (("vip", "is", False), "false"),
        (("unheard of", "eq", 5), "5"),
        (("odd", "is", "x"), '"x"'),
    ],
)
def test_a_rule_is_written_as_its_field_is_typed(rule: tuple[Any, ...], value: str) -> None:
    made = checked(dict(zip(("field", "operator", "value"), rule, strict=True)), TYPES)
    assert made.query_value == value


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (("tier", "gt", 5), "gt is for numbers, and the field tier is a string"),
        (("age", "is", "5"), "is is for texts, and the field age is a number"),
        (("age", "bf", "2026-01-01"), "bf is for dates"),
        (("vip", "has", "true"), "has is for texts"),
        (("age", "gt", "many"), "age gt needs a number"),
        (("age", "gt", True), "age gt needs a number"),
        (("age", "gt", float("nan")), "age gt needs a number"),
        (("born", "af", "next week"), "born af needs a date"),
        (("born", "af", 20260101), "born af needs a date"),
        (("tier", "is", 5), "tier is needs a text"),
        (("vip", "is", "perhaps"), "vip is needs a true or false"),
        (("", "is", "x"), "field is empty"),
        (("tier", "like", "x"), "none of af, bf, eq"),
    ],
)
def test_a_rule_of_another_type_is_refused(rule: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        checked(dict(zip(("field", "operator", "value"), rule, strict=True)), TYPES)


@pytest.mark.parametrize(
    ("low", "high", "size", "last", "odd"),
    [
        (1, None, 0, None, True),
        (None, 10, 11, None, True),
        (1, 10, 10, 500, False),
        (None, None, 9, 20, True),
        (None, None, 41, 20, True),
        (None, None, 40, 20, False),
        (None, None, 0, 19, False),
        (None, None, 7, None, False),
    ],
)
def test_a_size_is_held_against_what_is_expected(
    low: int | None, high: int | None, size: int, last: int | None, odd: bool
) -> None:
    wish = ListWish(ME, "VIP", "All", None, (), low, high)
    assert bool(size_doubt(wish, size, last)) == odd


@pytest.mark.parametrize(
    ("tries", "minutes", "why"),
    [
        (1, 0, ""),
        (2, 29, "tried again from 2026-01-01 00:30 UTC on, after 2 failures: boom"),
        (2, 30, ""),
        (3, 59, "tried again from 2026-01-01 01:00"),
        (MOST_TRIES, 60 * 24 * 365, "given up after 8 tries"),
    ],
)
def test_a_row_waits_longer_each_time_it_fails(tries: int, minutes: int, why: str) -> None:
    failure = Failure("same", tries, NOW, "boom", "failed")
    found = waits(failure, "same", NOW + timedelta(minutes=minutes))
    assert found.startswith(why) if why else not found
    assert not waits(failure, "changed since", NOW)


def test_a_plan_says_what_would_be_done_against_what_is_held() -> None:
    columns = ["account_phone", "phone_number", "name", "custom_fields", "blocked"]
    rows = [person("+19185550120"), person("+19185550121", name="Bob"), person("+19185550122"), person("12")]
    export = pd.DataFrame(rows, columns=columns, dtype=object)
    held = pd.DataFrame(
        [(ME, "+19185550121", "Ann", True, []), (ME, "+19185550122", "Ann", False, [])],
        columns=["account_phone", "row_key", "name", "blocked", "custom_fields"],
    )
    plan, _ = make_plan(CONTACTS, export, held, FACTS)
    assert [(row.action, row.reason) for row in plan.rows[:3]] == [
        ("create", ""),
        ("update", "changed: name"),
        ("unchanged", ""),
    ]
    assert plan.counts == {"create": 1, "update": 1, "unchanged": 1, "refused": 1}
    assert export_digest(export) == export_digest(export.iloc[::-1])
    assert export_digest(export) != export_digest(export.head(3))
    first = shown([row.as_json() for row in [*plan.rows, *plan.rows]], "contacts", 1)  # the first of each action
    assert [line[1:3] for line in first] == [("+1918•••0120", "create"), ("+1918•••0121", "update"), ("•••", "refused")]


def test_an_estimate_counts_documents() -> None:
    assert estimated({"create": 2000, "update": 0, "unchanged": 0, "refused": 9}, CONTACTS.batch)[0] == 80 + 81
    assert estimated({"create": 30, "update": 30, "unchanged": 0, "refused": 0}, CONTACTS.batch)[0] == 3 + 2 + 3
    assert estimated({"create": 0, "update": 3, "unchanged": 2, "refused": 0}, LISTS.batch)[0] == 5 + 3


def test_masked_phones_show_nobody() -> None:
    assert masked("+19185550107") == "+1918•••0107"
    assert masked("12345") == "•••"
