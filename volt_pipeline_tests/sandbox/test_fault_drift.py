"""A contract that changes under its clients: introspection, validation and execution follow, and return."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import build_client_schema, get_introspection_query, print_schema

from volt_pipeline.sandbox.entities import Contact
from volt_pipeline.sandbox.fault_drift import added, chained, removed, retyped
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.resolvers import schema
from volt_pipeline.sandbox.server import Sandbox

from .conftest import ask, http

CONTACT = "query c($a: String!, $b: String!) { contact(primaryPhone: $a, phoneNumber: $b) { %s } }"


@pytest.fixture(autouse=True)
def _unharmed(sandbox: Sandbox) -> Iterator[None]:
    yield
    sandbox.faults = Faults()
    assert served(sandbox) == print_schema(schema())
    assert ask_for(sandbox, "id blocked")[1]["data"]["contact"]["blocked"] in (True, False)


def served(sandbox: Sandbox) -> str:
    return print_schema(build_client_schema(ask(sandbox, get_introspection_query())["data"]))


def someone(sandbox: Sandbox) -> Contact:
    return sandbox.world.contacts[0]


def ask_for(sandbox: Sandbox, selected: str) -> tuple[int, Any]:
    contact = someone(sandbox)
    variables = {"a": contact.account.primary_phone, "b": contact.phone_number}
    asked = {"query": CONTACT % selected, "variables": variables}
    return http(sandbox.url, json.dumps(asked).encode(), sandbox.token)


def test_a_removed_field_is_refused_and_not_introspected(sandbox: Sandbox) -> None:
    assert ask_for(sandbox, "id blocked")[0] == 200
    sandbox.faults.drift = removed("Contact.blocked")
    status, body = ask_for(sandbox, "id blocked")
    assert status == 400
    assert "Cannot query field 'blocked' on type 'Contact'" in body["errors"][0]["message"]
    assert ask_for(sandbox, "id name")[1]["data"]["contact"]["name"] == someone(sandbox).name
    assert "\n  blocked: Boolean!\n}" not in served(sandbox).split("type Contact {")[1].split("\n}")[0] + "\n}"


def test_an_added_field_is_null_or_what_it_is_told(sandbox: Sandbox) -> None:
    sandbox.faults.drift = added("Contact", "nickname: String, score: Int!")
    assert "nickname: String\n  score: Int!" in served(sandbox)
    assert ask_for(sandbox, "nickname")[1] == {"data": {"contact": {"nickname": None}}}
    assert ask_for(sandbox, "score")[1]["data"] == {"contact": None}
    sandbox.faults.drift_values = {("Contact", "score"): 7, ("Contact", "nickname"): lambda each: each.name[:2]}
    assert ask_for(sandbox, "score nickname")[1] == {
        "data": {"contact": {"score": 7, "nickname": someone(sandbox).name[:2]}}
    }


def test_a_field_may_change_its_type_and_nullability(sandbox: Sandbox) -> None:
    sandbox.faults.drift = chained(
        retyped("Contact.blocked", "String"),
        retyped("Contact.lists", "[List]"),
        retyped("Message.media", "[[String!]]"),
    )
    shown = served(sandbox)
    assert "blocked: String\n" in shown
    assert "media: [[String!]]" in shown
    assert ask_for(sandbox, "blocked")[1]["data"]["contact"]["blocked"] in ("true", "false")
    sandbox.faults.drift_values = {("Contact", "blocked"): None}
    assert ask_for(sandbox, "blocked")[1] == {"data": {"contact": {"blocked": None}}}


def test_roots_arguments_and_inputs_may_change(sandbox: Sandbox) -> None:
    sandbox.faults.drift = chained(
        removed("Query.legacyMessage"),
        removed("Mutation.scheduleWave"),
        added("Query", "accounts: [Account!]"),
        added("ContactCustomFieldInput", "locale: String!"),
        lambda sdl: sdl.replace("webhooks: [Webhook]!", "webhooks(first: Int!): [Webhook]!"),
    )
    assert ask(sandbox, "{ accounts { id } }") == {"data": {"accounts": None}}
    for text in ('{ legacyMessage(id: "1") { id } }', "{ webhooks { id } }"):
        assert http(sandbox.url, json.dumps({"query": text}).encode(), sandbox.token)[0] == 400
    assert "locale: String!" in served(sandbox)


@pytest.mark.parametrize("edit", [removed("Contact.nothing"), retyped("Nothing.id", "ID"), added("WaveType", "x: Int")])
def test_an_edit_of_what_is_not_there_is_an_error(edit: Any) -> None:
    with pytest.raises(ValueError, match="the contract has no"):
        edit(print_schema(schema()))
