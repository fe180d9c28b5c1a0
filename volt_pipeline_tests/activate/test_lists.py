"""What is written of a list: its whole definition, its source always named, and nothing twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.activate.lists import ListWish, decide, differences, wishes
from volt_pipeline.api.inputs import ListQueryOperator

ACCOUNT = "+15555554321"
NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.sampled_from(["", "gold", "5", "5.0", "true", "null", '"', "ünï"])
SUITING = {
    **dict.fromkeys(("gt", "gte", "lt", "lte", "eq", "neq"), NUMBERS),
    **dict.fromkeys(("bf", "af"), st.dates().map(str)),
    **dict.fromkeys(("is", "has", "nc"), TEXTS),
}


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from([str(operator) for operator in ListQueryOperator]))
    field = draw(st.sampled_from(["tier", "purchases"]))
    return {"field": field, "operator": operator, "value": draw(SUITING[operator])}


@st.composite
def wanted(draw: st.DrawFn) -> ListWish:
    term = draw(st.none() | st.sampled_from(["", "Ann"]))
    return ListWish(ACCOUNT, "VIP", draw(st.sampled_from(["All", "Gold"])), term, tuple(draw(st.lists(rules()))))


def wish(*rules: Mapping[str, Any], **values: Any) -> ListWish:
    given_ = {"list_name": "VIP", "source_list_name": "All", "name_search_term": None, **values}
    return ListWish(ACCOUNT, rules=rules, **given_)


def rule(field: str = "tier", operator: str = "is", value: Any = "gold") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def applied(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The list as Volt answers it after the mutation."""
    return {"id": "1", "name": variables["listQuery"]["listName"], "size": 3, **variables["listQuery"]}


@given(wanted(), st.none() | wanted())
def test_after_a_push_there_is_nothing_left_to_push(asked: ListWish, before: ListWish | None) -> None:
    current = None if before is None else applied(decide(before, None).variables or {})
    decision = decide(asked, current)
    if decision.variables is None:
        assert decision.action == "unchanged"
        return
    assert decision.action == ("create" if current is None else "update")
    after = applied(decision.variables)
    assert differences(decision.variables, after) == []
    assert decide(asked, after).action == "unchanged"


@given(wanted())
def test_the_source_is_always_named_and_the_definition_whole(asked: ListWish) -> None:
    variables = decide(asked, None).variables
    assert variables
    assert variables["primaryPhone"] == ACCOUNT
    assert variables["listQuery"].keys() == {
        "listName",
        "querySourceListName",
        "queryNameSearchTerm",
        "queryCustomFields",
    }
    assert variables["listQuery"]["querySourceListName"] == asked.source_list_name


@pytest.mark.parametrize("source", [None, "", "  "])
def test_a_list_without_a_source_is_refused(source: str | None) -> None:
    decision = decide(wish(source_list_name=source), None)
    assert (decision.action, decision.variables) == ("refused", None)
    assert "source_list_name is empty" in decision.reason


@pytest.mark.parametrize(
    "bad", [rule(operator="like"), rule(operator=""), {"field": "tier"}, {"operator": "is", "value": 1}, "tier", None]
)
def test_a_rule_that_volt_does_not_know_is_refused(bad: Any) -> None:
    decision = decide(wish(rule(), bad), None)
    assert (decision.action, decision.variables) == ("refused", None)


@pytest.mark.parametrize(
    ("operator", "value", "held"),
    [
        ("eq", 5, "5"),
        ("eq", 5, "5.0"),
        ("eq", 5.0, "5"),
        ("eq", "5", "5"),
        ("eq", 5, 5),
        ("is", "gold", '"gold"'),
        ("is", "gold", "gold"),
        ("is", True, "true"),
    ],
)
def test_rules_compare_by_value_however_volt_spells_it(operator: str, value: Any, held: Any) -> None:
    current = {"querySourceListName": "All", "queryCustomFields": [{**rule(operator=operator), "queryValue": held}]}
    types = {"tier": frozenset({"boolean"})} if value is True else {}
    assert decide(wish(rule(operator=operator, value=value)), current, types).action == "unchanged"


@pytest.mark.parametrize(("operator", "value", "held"), [("eq", 5, "6"), ("is", "5", "5"), ("is", "true", "true")])
def test_rules_of_another_value_are_another_definition(operator: str, value: Any, held: Any) -> None:
    current = {"querySourceListName": "All", "queryCustomFields": [{**rule(operator=operator), "queryValue": held}]}
    assert decide(wish(rule(operator=operator, value=value)), current).reason == "changed: rules"


def test_the_order_of_rules_does_not_matter_and_their_number_does() -> None:
    one, two = rule(), rule("purchases", "gt", 5)
    current = applied(decide(wish(one, two), None).variables or {})
    assert decide(wish(two, one), current).action == "unchanged"
    for other in ((one,), (one, two, two), ()):
        assert decide(wish(*other), current).reason == "changed: rules"


def test_what_volt_leaves_empty_is_its_default() -> None:
    current = {"querySourceListName": None, "queryNameSearchTerm": None, "queryCustomFields": None}
    assert decide(wish(), current).action == "unchanged"
    assert decide(wish(source_list_name="Gold", name_search_term="Ann"), current).reason == (
        "changed: source list, name search term"
    )


def test_the_rows_of_an_export_become_wishes() -> None:
    frame = pd.DataFrame(
        [
            [ACCOUNT, "VIP", "All", "Ann", [rule()]],
            [ACCOUNT, "Gold", None, None, json.dumps([rule()])],
            [ACCOUNT, "Everyone", "All", float("nan"), None],
        ],
        columns=["account_phone", "list_name", "source_list_name", "name_search_term", "rules"],
    )
    assert wishes(frame) == [
        wish(rule(), name_search_term="Ann"),
        wish(rule(), list_name="Gold", source_list_name=None),
        wish(list_name="Everyone"),
    ]
    assert wishes(frame.head(0)) == []
