"""The SDL is Volt's API text: complete, and true to each of its examples."""

from __future__ import annotations

from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    parse,
    validate,
    visit,
)
from graphql.language import FieldNode

from volt_pipeline.sandbox.resolvers import SDL

from .conftest import EXAMPLES

QUERIES = {"contact", "conversation", "inbox", "legacyMessage", "list", "message", "wave", "webhooks"}
MUTATIONS = {
    "createMessage",
    "createOrUpdateContact",
    "createOrUpdateList",
    "deleteWebhook",
    "registerWebhook",
    "scheduleMessage",
    "scheduleWave",
}
OPERATORS = {"gt", "gte", "lt", "lte", "eq", "bf", "af", "is", "has", "neq", "nc"}


def contract() -> GraphQLSchema:
    return build_schema(SDL.read_text(encoding="utf-8"))


def test_the_contract_has_eight_queries_and_seven_mutations() -> None:
    schema = contract()
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    assert set(schema.query_type.fields) == QUERIES
    assert set(schema.mutation_type.fields) == MUTATIONS


def test_roots_are_null_exactly_where_the_text_lets_them() -> None:
    schema = contract()
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    roots = {**schema.query_type.fields, **schema.mutation_type.fields}
    assert {name for name, field in roots.items() if str(field.type).endswith("!")} == {
        "conversation",
        "list",
        "webhooks",
        "createMessage",
        "createOrUpdateContact",
        "createOrUpdateList",
    }
    assert str(schema.query_type.fields["webhooks"].type) == "[Webhook]!"


def test_all_operators_of_list_rules_are_there() -> None:
    assert set(getattr(contract().type_map["ListQueryOperator"], "values", ())) == OPERATORS


def test_every_field_and_argument_is_described() -> None:
    for type_ in contract().type_map.values():
        if not isinstance(type_, GraphQLObjectType) or type_.name.startswith("__"):
            continue
        for name, field in type_.fields.items():
            assert field.description, f"{type_.name}.{name}"
            for argument_name, argument in field.args.items():
                assert argument.description, f"{type_.name}.{name}({argument_name})"


def test_the_examples_of_the_text_are_valid_and_are_all_fifteen() -> None:
    document = parse(EXAMPLES)
    assert validate(contract(), document) == []
    named = {
        node.name.value
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode) and node.name is not None
    }
    assert named == QUERIES | MUTATIONS


def test_the_examples_ask_for_every_field_of_every_type() -> None:
    schema = contract()
    types = TypeInfo(schema)
    seen: set[tuple[str, str]] = set()

    class Collector(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            parent = types.get_parent_type()
            assert parent is not None
            seen.add((parent.name, node.name.value))

    visit(parse(EXAMPLES), TypeInfoVisitor(types, Collector()))
    there = {
        (type_.name, name)
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__")
        for name in type_.fields
    }
    assert seen == there
