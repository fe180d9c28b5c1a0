"""The typed inputs give the variables that Volt's mutations take, and keep people's data out of their repr."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLError, build_schema, parse
from graphql.execution.values import get_variable_values
from graphql.utilities import get_operation_ast
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.api.documents import document
from volt_pipeline.api.errors import AuthError
from volt_pipeline.api.inputs import (
    ContactInput,
    ListQuery,
    ListQueryOperator,
    ListQueryRule,
    MessageSchedulingJob,
    NewWaveStatus,
    WaveSchedulingJob,
    WaveType,
    volt_time,
)
from volt_pipeline.api.tokens import expires_at, permissions, usable_token

SCHEMA = build_schema(files("volt_pipeline.api").joinpath("schema.graphql").read_text(encoding="utf-8"))
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=-5)))
RULE = ListQueryRule.of("purchases", ListQueryOperator.GTE, 5)
PHONE = "+15555550100"


def accepted(operation: str, variables: dict[str, Any]) -> list[GraphQLError]:
    """What the contract says against these variables."""
    definition = get_operation_ast(parse(document(operation).text), operation)
    assert definition is not None
    found = get_variable_values(SCHEMA, definition.variable_definitions, variables)
    return found if isinstance(found, list) else []


@pytest.mark.parametrize(
    ("operation", "variables"),
    [
        (
            "createOrUpdateContact",
            ContactInput("Wile", PHONE, "+15555550101", {"species": "coyote"}, False).variables(),
        ),
        ("createOrUpdateList", ListQuery("Loyal", "All", "w", (RULE,)).variables(PHONE)),
        ("createOrUpdateList", ListQuery("Loyal").variables(PHONE)),
        ("scheduleMessage", MessageSchedulingJob(NOON, "Hi", (PHONE,), ("https://x.example/a",)).variables(PHONE)),
        (
            "scheduleWave",
            WaveSchedulingJob("Sale", NOON, "Hi", ("All",)).variables(WaveType.ACCOUNT, NewWaveStatus.DRAFT, PHONE),
        ),
        (
            "scheduleWave",
            WaveSchedulingJob("Sale", NOON, "Hi", ("All",)).variables(WaveType.ORGANIZATION, NewWaveStatus.SCHEDULED),
        ),
    ],
)
def test_the_variables_are_those_of_the_contract(operation: str, variables: dict[str, Any]) -> None:
    assert accepted(operation, variables) == []
    json.dumps(variables)


def test_the_enums_are_those_of_the_contract() -> None:
    for enum in (ListQueryOperator, WaveType, NewWaveStatus):
        published = SCHEMA.type_map[enum.__name__]
        assert isinstance(published, GraphQLEnumType)
        assert {str(member) for member in enum} == set(published.values)


def test_what_is_not_given_is_left_out() -> None:
    assert ListQuery("Loyal").variables(PHONE) == {"primaryPhone": PHONE, "listQuery": {"listName": "Loyal"}}
    assert ListQuery("Loyal", query_custom_fields=()).variables(PHONE)["listQuery"]["queryCustomFields"] == []


def test_a_rule_carries_json() -> None:
    assert RULE.variables() == {"field": "purchases", "operator": "gte", "queryValue": "5"}
    assert ListQueryRule.of("tier", ListQueryOperator.IS, "gold").query_value == '"gold"'


def test_scheduled_times_are_utc_as_volt_writes_them() -> None:
    assert volt_time(NOON) == "2026-03-01 17:00:00"
    assert volt_time(datetime(987, 1, 2, 3, 4, 5, 999, tzinfo=UTC)) == "0987-01-02 03:04:05"


def test_a_scheduled_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        MessageSchedulingJob(datetime(2026, 3, 1), "Hi", (PHONE,)).variables(PHONE)  # noqa: DTZ001


def test_no_repr_shows_people_or_texts() -> None:
    shown = repr(
        [
            ContactInput("Wile", PHONE, "account", {"species": "coyote"}, False),
            MessageSchedulingJob(NOON, "secret text", (PHONE,)),
            WaveSchedulingJob("Sale", NOON, "secret text", ("All",)),
        ]
    )
    assert not any(word in shown for word in ("Wile", "5555", "coyote", "secret"))


def token(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.sig"


def test_a_token_tells_when_it_dies() -> None:
    assert expires_at(token({"exp": 1_900_000_000})) == datetime(2030, 3, 17, 17, 46, 40, tzinfo=UTC)
    for silent in ("", "opaque", "a.b.c", token([]), token({}), token({"exp": True}), token({"exp": 1e300}), "e30.!.x"):
        assert expires_at(silent) is None
        assert permissions(silent) == frozenset()


@pytest.mark.parametrize(
    "claims",
    [
        {"permissions": ["read:messages", "write:waves"]},
        {"scope": "openid read:messages write:waves"},
        {"https://volt/claims": {"read:messages": True, "write:waves": True, "write:contacts": False}},
    ],
)
def test_a_token_tells_what_it_may_do(claims: Any) -> None:
    assert permissions(token(claims)) == {"read:messages", "write:waves"}


@given(st.text())
def test_any_text_is_read_as_a_token_without_failing(text: str) -> None:
    expires_at(text)
    permissions(f"a.{text}.b")


@pytest.mark.parametrize("bad", ["", "  ", "two words", "línea", "a\nb"])
def test_a_token_that_cannot_be_sent_is_named(bad: str) -> None:
    with pytest.raises(AuthError, match="VOLT_API_TOKEN") as caught:
        usable_token(bad)
    assert not bad.strip() or bad.strip() not in str(caught.value)
