"""What clients send: documents, read, understood and executed on the contract."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    Middleware,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
    parse,
    validate,
)

from .resolvers import from_attribute
from .world import World


@lru_cache(maxsize=256)
def read(text: str, contract: GraphQLSchema) -> tuple[DocumentNode | None, list[GraphQLError]]:
    """Parse and validate; clients send the same few documents over and over."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return None, [error]
    return document, validate(contract, document)


def operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    """The operation that a request means, if it says so clearly."""
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    chosen = [each for each in operations if name is None or (each.name and each.name.value == name)]
    return chosen[0] if len(chosen) == 1 else None


def root_fields(document: DocumentNode, chosen: OperationDefinitionNode) -> list[str]:
    """The names of the fields at the root, one per alias, fragments spread out."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}

    def names(selections: SelectionSetNode) -> Iterable[str]:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                yield node.name.value
            elif isinstance(node, InlineFragmentNode):
                yield from names(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                yield from names(fragments[node.name.value].selection_set)

    return list(names(chosen.selection_set))


def execute(
    world: World,
    contract: GraphQLSchema,
    document: DocumentNode,
    variables: dict[str, Any] | None,
    operation_name: str | None,
    middleware: Middleware = None,
) -> ExecutionResult:
    with world.lock:
        return execute_sync(
            contract,
            document,
            context_value=world,
            variable_values=variables,
            operation_name=operation_name,
            field_resolver=from_attribute,
            middleware=middleware,
        )
