"""What a live API differs in from schema.graphql, and which of our operations that stops."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    build_client_schema,
    build_schema,
    introspection_from_schema,
    parse,
    print_schema,
    validate,
)

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.contract import published, used
from volt_pipeline.api.documents import document, introspections, operations
from volt_pipeline.api.drift import Difference, compare, drift, schema_from_introspection
from volt_pipeline.api.errors import AuthError, ContractError, RateLimited, ServerError, TransientError, VoltError
from volt_pipeline.sandbox.server import TOKEN as SANDBOX_TOKEN
from volt_pipeline.sandbox.server import running
from volt_pipeline.sandbox.world import World

from .executing import executing
from .scripted import Hands, Say, ScriptedVolt, data, failing

SDL = print_schema(build_client_schema(introspection_from_schema(published(), descriptions=False)))
WAVES = ("wave", "scheduleMessage", "scheduleWave")

Found = tuple[str, str, str, tuple[str, ...]]


def altered(*changes: tuple[str, str], more: str = "") -> GraphQLSchema:
    """Volt's API with some texts of its SDL exchanged, each for the first time it occurs."""
    text = SDL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return build_schema(f"{text}\n{more}")


def described(schema: GraphQLSchema) -> dict[str, Any]:
    """Its `__schema`, as a server answers it."""
    told: dict[str, Any] = dict(introspection_from_schema(schema, input_value_deprecation=True)["__schema"])
    return told


DIFFERENCES: dict[str, tuple[GraphQLSchema, list[Found]]] = {
    "none": (altered(), []),
    "a field is gone": (
        altered(("  sentBy: String!\n", "")),
        [("gone", "Wave.sentBy", "it was String!", WAVES)],
    ),
    "a field is new": (
        altered(("  sentBy: String!\n", "  sentBy: String!\n  color: [Int!]\n")),
        [("new", "Wave.color", "it is [Int!]", ())],
    ),
    "nullability": (
        altered(("  sentBy: String!\n", "  sentBy: String\n")),
        [("changed", "Wave.sentBy", "it was String! and is String (only nullability)", WAVES)],
    ),
    "inner nullability": (
        altered(("  lists: [List!]\n", "  lists: [List]\n")),
        [("changed", "Wave.lists", "it was [List!] and is [List] (only nullability)", WAVES)],
    ),
    "another type": (
        altered(("  sentBy: String!\n", "  sentBy: Date!\n"), more="scalar Date"),
        [("changed", "Wave.sentBy", "it was String! and is Date!", WAVES), ("new", "Date", "it is a scalar", ())],
    ),
    "an argument is gone": (
        altered(("from: String!, before: String): Conversation", "from: String!): Conversation")),
        [("gone", "Query.conversation(before:)", "it was String", ("conversation",))],
    ),
    "an argument must be given": (
        altered(("before: String): Inbox", "before: String!): Inbox")),
        [("changed", "Query.inbox(before:)", "it was String and is String! (only nullability)", ("inbox",))],
    ),
    "a new argument": (
        altered(("before: String): Inbox", "before: String, first: Int! = 20): Inbox")),
        [("new", "Query.inbox(first:)", "it is Int! = 20", ())],
    ),
    "a new argument that must be given": (
        altered(("before: String): Inbox", "before: String, first: Int!): Inbox")),
        [("new", "Query.inbox(first:)", "it is Int!, and required", ("inbox",))],
    ),
    "a new default": (
        altered(("before: String): Inbox", 'before: String = "top"): Inbox')),
        [("changed", "Query.inbox(before:)", 'it was String and is String = "top"', ("inbox",))],
    ),
    "a new input field": (
        altered(("input ListQuery {", "input ListQuery {\n  color: String")),
        [("new", "ListQuery.color", "it is String", ())],
    ),
    "a new input field that must be given": (
        altered(("input ListQueryRuleInput {", "input ListQueryRuleInput {\n  color: String!")),
        [("new", "ListQueryRuleInput.color", "it is String!, and required", ("createOrUpdateList",))],
    ),
    "an input field is gone": (
        altered(("  waveName: String!\n", "")),
        [("gone", "WaveSchedulingJob.waveName", "it was String!", ("scheduleWave",))],
    ),
    "a value that we send is gone": (
        altered(("  account\n  organization\n}", "  account\n}")),
        [("gone", "WaveType.organization", "it was an enum value", ("scheduleWave",))],
    ),
    "a value is new": (
        altered(("  account\n  organization\n}", "  account\n  organization\n  contact\n}")),
        [("new", "WaveType.contact", "it is an enum value", ())],
    ),
    "a query is gone": (
        altered(("  webhooks: [Webhook]!\n", "")),
        [("gone", "Query.webhooks", "it was [Webhook]!", ("webhooks",))],
    ),
    "a query is new": (
        altered(("  webhooks: [Webhook]!\n", "  webhooks: [Webhook]!\n  accounts: [Account!]!\n")),
        [("new", "Query.accounts", "it is [Account!]!", ())],
    ),
    "a type is new": (
        altered(more="type Tag { id: ID! name: String }"),
        [("new", "Tag", "it is an object type (id, name)", ())],
    ),
    "a type became another kind": (
        altered(("enum NewWaveStatus {\n  draft\n  scheduled\n}", "scalar NewWaveStatus")),
        [("changed", "NewWaveStatus", "it was an enum (draft, scheduled) and is a scalar", ("scheduleWave",))],
    ),
    "a type is gone": (
        altered(("enum NewWaveStatus {\n  draft\n  scheduled\n}", ""), ("status: NewWaveStatus!", "status: String!")),
        [
            ("changed", "Mutation.scheduleWave(status:)", "it was NewWaveStatus! and is String!", ("scheduleWave",)),
            ("gone", "NewWaveStatus", "it was an enum (draft, scheduled)", ("scheduleWave",)),
        ],
    ),
    "a field is on its way out": (
        altered(("  sentBy: String!\n", '  sentBy: String! @deprecated(reason: "Ask +1 (555) 555-0100")\n')),
        [("changed", "Wave.sentBy", "Volt means to remove it (Ask +***)", WAVES)],
    ),
    "an argument is on its way out": (
        altered(("before: String): Inbox", 'before: String @deprecated(reason: "no more")): Inbox')),
        [("changed", "Query.inbox(before:)", "Volt means to remove it (no more)", ("inbox",))],
    ),
    "other names of the roots": (
        altered(("type Query {", "type RootQueryType {"), ("type Mutation {", "type RootMutationType {"),
                more="schema { query: RootQueryType mutation: RootMutationType }"),
        [],
    ),
    "a server's own machinery": (
        altered(("type Query {", "type Query {\n  _service: _Service!"), more="type _Service { sdl: String }"),
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("live", "expected"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_each_difference_is_told_with_who_needs_it(live: GraphQLSchema, expected: list[Found]) -> None:
    differences = compare(schema_from_introspection(described(live)))
    told = [(each.kind, each.what, each.detail, each.operations) for each in differences]
    assert sorted(told) == sorted(expected)
    assert all(each.needed is bool(each.operations) for each in differences)


def test_what_is_needed_comes_first() -> None:
    live = altered(("  sentBy: String!\n", "  color: Int\n"), ("  lists: [List!]\n", "  lists: [List]\n"))
    assert [(each.kind, each.needed) for each in compare(live)] == [("gone", True), ("changed", True), ("new", False)]


def test_a_difference_reads_like_a_sentence() -> None:
    (gone,) = compare(altered(("  sentBy: String!\n", "")))
    assert str(gone) == "Wave.sentBy is gone: it was String!. Needed by wave, scheduleMessage, scheduleWave"
    (new,) = compare(altered(more="scalar Date"))
    assert str(new) == "Date is new: it is a scalar"
    assert gone == Difference("gone", "Wave.sentBy", "it was String!", True, WAVES)
    assert pickle.loads(pickle.dumps(gone)) == gone


def test_an_api_without_anything_of_ours_stops_everything() -> None:
    differences = compare(build_schema("type Query { other: Int }"))
    assert {name for each in differences for name in each.operations} == set(operations())
    assert {"Mutation", "Message", "Query.inbox"} <= {each.what for each in differences if each.kind == "gone"}


@pytest.mark.parametrize("operation", operations())
def test_an_operation_is_stopped_by_the_loss_of_what_it_uses_and_of_nothing_else(operation: str) -> None:
    """Tried out: each field and each argument is taken from the schema, and the document validated without it."""
    asked, schema = document(operation), build_schema(SDL)
    needed = used(asked.node)
    assert validate(schema, asked.node) == []
    for owner, kind in schema.type_map.items():
        if owner.startswith("__") or not isinstance(kind, GraphQLObjectType):
            continue
        for field in list(kind.fields):
            arguments = kind.fields[field].args
            for argument in list(arguments):
                kept = arguments.pop(argument)
                assert bool(validate(schema, asked.node)) is (f"{owner}.{field}({argument}:)" in needed)
                arguments[argument] = kept
            lost = kind.fields.pop(field)
            assert bool(validate(schema, asked.node)) is (f"{owner}.{field}" in needed), f"{owner}.{field}"
            kind.fields[field] = lost


async def test_the_sandbox_has_not_drifted() -> None:
    world = World.create(seed=3, accounts=1, contacts=5, now=datetime(2026, 6, 1, 12, tzinfo=UTC))
    with running(world) as sandbox:
        async with VoltClient(sandbox.url, SANDBOX_TOKEN) as volt:
            assert await drift(volt) == []
            assert volt.usage.by_operation == {"IntrospectionQuery": 1}


async def test_drift_is_seen_over_the_wire(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(executing(schema=altered(("  sentBy: String!\n", ""))))
    assert [each.what for each in await drift(client)] == ["Wave.sentBy"]


def test_the_introspections_are_valid_and_the_older_one_asks_for_less() -> None:
    newer, older = introspections()
    for asked in (newer, older):
        assert validate(published(), parse(asked.text)) == []
        assert (asked.operation, asked.keys, asked.mutates) == ("IntrospectionQuery", ("__schema",), False)
    assert "args(includeDeprecated:true)" in newer.text
    assert "args(" not in older.text


async def test_an_older_server_is_asked_in_its_own_way(client: VoltClient, volt: ScriptedVolt) -> None:
    refusal = 'Unknown argument "includeDeprecated" on field "__Field.args".'
    volt.says(failing(refusal, "GRAPHQL_VALIDATION_FAILED", status=400), executing())
    assert await drift(client) == []
    assert [asked.query for asked in volt.asked] == [asked.text for asked in introspections()]


async def test_an_introspection_is_retried_like_a_read(client: VoltClient, volt: ScriptedVolt, hands: Hands) -> None:
    volt.says(Say(b"", 503), Say(b"", 429, {"Retry-After": "3"}), executing())
    assert await drift(client) == []
    assert hands.seconds >= 3
    assert client.usage.retries == 2


FORBIDDEN = {
    "Apollo": failing(
        "GraphQL introspection is not allowed by Apollo Server, but the query contained __schema or __type.",
        "INTROSPECTION_DISABLED",
        status=400,
    ),
    "Apollo, older": failing("GraphQL introspection is not allowed", "GRAPHQL_VALIDATION_FAILED", status=400),
    "graphql-js": failing(
        "GraphQL introspection has been disabled, but the requested query contained the field '__schema'."
    ),
    "the field is hidden": failing('Cannot query field "__schema" on type "Query".', status=400),
    "Hasura": failing("field '__schema' not found in type: 'query_root'", "validation-failed"),
    "null": data(__schema=None),
    "forbidden": failing("Forbidden", "FORBIDDEN", path=["__schema"], data={"__schema": None}),
    "too deep": failing("Query is too deep", "QUERY_TOO_DEEP", status=400),
}


@pytest.mark.parametrize("answer", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_an_api_that_does_not_describe_itself_is_told_apart(
    client: VoltClient, volt: ScriptedVolt, answer: Say
) -> None:
    volt.says(answer)
    with pytest.raises(ContractError, match=r"does not let itself be introspected.*cannot be seen") as caught:
        await drift(client)
    assert type(caught.value) is ContractError
    assert len(volt.asked) == 2, "once in each way, and no more"
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("answer", [Say(b"", 403), failing("x", "UNAUTHENTICATED")], ids=["403", "token"])
async def test_a_refusal_is_the_introspections_only_where_the_token_is_known_to_be_good(
    client: VoltClient, volt: ScriptedVolt, answer: Say
) -> None:
    volt.says(answer)
    with pytest.raises(AuthError, match="VOLT_API_TOKEN"):
        await drift(client)
    volt.says(data(message={"id": "1"}))
    await client.query("message", {"id": "1"})
    volt.says(answer)
    with pytest.raises(ContractError, match="introspected"):
        await drift(client)


FAILURES: dict[str, tuple[Say, type[VoltError]]] = {
    "an outage": (Say(b"", 503), TransientError),
    "a rate limit": (Say(b"", 429), RateLimited),
    "boom": (failing("boom"), ServerError),
    "a wrong address": (Say(b"<html>", 404), ContractError),
    "a redirect": (Say(b"", 302, {"Location": "https://x.example"}), ContractError),
}


@pytest.mark.parametrize(("answer", "kind"), FAILURES.values(), ids=FAILURES)
async def test_any_other_failure_is_told_as_what_it_is(
    client: VoltClient, volt: ScriptedVolt, answer: Say, kind: type[VoltError]
) -> None:
    volt.says(answer)
    with pytest.raises(kind) as caught:
        await drift(client)
    assert "introspected" not in str(caught.value)


async def test_a_description_with_holes_is_not_believed(client: VoltClient, volt: ScriptedVolt) -> None:
    error = {"message": "boom", "path": ["__schema", "types", 3, "fields"]}
    volt.says(Say({"data": {"__schema": described(published())}, "errors": [error]}))
    with pytest.raises(ServerError, match="boom"):
        await drift(client)


def _without(*path: str) -> dict[str, Any]:
    told = copy.deepcopy(described(published()))
    place = told
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return told


def _named(name: str) -> dict[str, Any]:
    told = copy.deepcopy(described(published()))
    wave = next(kind for kind in told["types"] if kind["name"] == "Wave")
    wave["fields"][0]["name"] = name
    return told


@pytest.mark.parametrize(
    "told",
    [{}, {"types": []}, {"types": None}, _without("types"), _without("queryType"), _named("+1 555 5550100"), [], 7],
    ids=["empty", "no types", "null", "types left out", "no root", "a phone for a name", "a list", "a number"],
)
async def test_a_description_that_is_none_is_a_contract_error(
    client: VoltClient, volt: ScriptedVolt, told: Any
) -> None:
    volt.says(data(__schema=told))
    with pytest.raises(ContractError, match="cannot be understood") as caught:
        await drift(client)
    assert "5550100" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
