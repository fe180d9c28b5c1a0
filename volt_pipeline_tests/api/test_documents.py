"""Every document that can be sent is one that Volt's published API allows; nothing reaches for the network."""

from __future__ import annotations

from importlib.resources import files

import pytest
from graphql import GraphQLSchema, OperationType, build_schema, parse, specified_rules, validate
from graphql.utilities import get_operation_ast
from graphql.validation import NoUnusedFragmentsRule

from volt_pipeline.api.documents import Request, aliased, document, operations, spread

QUERIES = ("contact", "conversation", "inbox", "legacyMessage", "list", "message", "wave", "webhooks")
MUTATIONS = (
    "createMessage",
    "createOrUpdateContact",
    "createOrUpdateList",
    "deleteWebhook",
    "registerWebhook",
    "scheduleMessage",
    "scheduleWave",
)


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(files("volt_pipeline.api").joinpath("schema.graphql").read_text(encoding="utf-8"))


def test_there_are_the_fifteen_operations_of_the_api(schema: GraphQLSchema) -> None:
    assert sorted(operations()) == sorted(QUERIES + MUTATIONS)
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    assert set(QUERIES) == set(schema.query_type.fields)
    assert set(MUTATIONS) == set(schema.mutation_type.fields)


@pytest.mark.parametrize("operation", QUERIES + MUTATIONS)
def test_each_operation_is_valid_and_named_like_its_root_field(schema: GraphQLSchema, operation: str) -> None:
    asked = document(operation)
    sent = parse(asked.text)
    assert validate(schema, sent) == []
    definition = get_operation_ast(sent, operation)
    assert definition is not None
    assert definition.operation is (OperationType.MUTATION if operation in MUTATIONS else OperationType.QUERY)
    assert asked.mutates is (operation in MUTATIONS)
    assert asked.keys == (operation,)


@pytest.mark.parametrize("operation", QUERIES + MUTATIONS)
def test_each_operation_takes_every_argument_of_its_field(schema: GraphQLSchema, operation: str) -> None:
    root = schema.mutation_type if operation in MUTATIONS else schema.query_type
    assert root is not None
    assert document(operation).variables == set(root.fields[operation].args)


@pytest.mark.parametrize("copies", [1, 2, 25])
@pytest.mark.parametrize("operation", QUERIES)
def test_many_items_in_one_document_are_valid_too(schema: GraphQLSchema, operation: str, copies: int) -> None:
    asked = aliased(operation, copies)
    assert validate(schema, parse(asked.text)) == []
    assert asked.keys == tuple(f"a{number}" for number in range(copies))
    assert len(asked.variables) == copies * len(document(operation).variables)


def test_the_variables_of_an_item_carry_its_number() -> None:
    items = [{"to": "1", "from": "2"}, {"to": "3", "from": "4", "before": "x"}]
    variables = spread(items)
    assert variables == {"to_0": "1", "from_0": "2", "to_1": "3", "from_1": "4", "before_1": "x"}
    assert variables.keys() <= aliased("conversation", 2).variables


def test_an_aliased_document_leaves_the_plain_one_alone() -> None:
    before = document("conversation").text
    aliased("conversation", 3)
    document.cache_clear()
    assert document("conversation").text == before


def test_documents_are_made_once() -> None:
    assert document("inbox") is document("inbox")
    assert aliased("message", 7) is aliased("message", 7)


def test_a_document_holds_no_fragment_that_it_does_not_need(schema: GraphQLSchema) -> None:
    assert NoUnusedFragmentsRule in specified_rules
    assert "fragment" in document("message").text
    assert "WaveColumns" not in document("message").text


def test_a_mutation_is_never_asked_many_times_in_one_document() -> None:
    with pytest.raises(ValueError, match="createMessage is a mutation"):
        aliased("createMessage", 2)


def test_an_unknown_operation_is_named() -> None:
    with pytest.raises(LookupError, match="no operation 'inboxes'"):
        document("inboxes")


def test_a_request_never_shows_its_variables() -> None:
    request = Request(document("conversation"), {"to": "+15555550100", "from": "+15555550101"})
    assert "5555" not in f"{request} {request!r}"
    assert request.payload["variables"]["to"] == "+15555550100"
