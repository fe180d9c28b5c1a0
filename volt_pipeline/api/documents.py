"""The documents sent to Volt: each operation with the fragments it needs, parsed and printed once.

Printing a document costs about as much as the rest of a request, so every text is made once and kept. A document for
many items asks the same query several times under aliases, made by rewriting the parsed tree:

    query conversation($to_0: String!, …, $to_1: String!, …) {
      a0: conversation(to: $to_0, …) { … }
      a1: conversation(to: $to_1, …) { … }
    }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from gql import GraphQLRequest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    NameNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    strip_ignored_characters,
    visit,
)

from volt_pipeline import catalog


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its parsed `node`, the `text` that travels, and the keys its answer's `data` will have."""

    operation: str
    node: DocumentNode
    text: str
    keys: tuple[str, ...]
    variables: frozenset[str]
    mutates: bool

    def check(self, variables: Mapping[str, Any]) -> None:
        """TypeError for a variable that it does not have: Volt may ignore it, and less would be sent than was meant."""
        unknown = variables.keys() - self.variables
        if unknown:
            raise TypeError(f"{self.operation} has no variable {', '.join(sorted(unknown))}")


class Request(GraphQLRequest):
    """gql's request on a document whose text is already printed. It never shows its variables: they hold phones."""

    def __init__(self, document: Document, variables: Mapping[str, Any]) -> None:
        super().__init__(document.node, variable_values=dict(variables), operation_name=document.operation)
        self._text = document.text

    @property
    def payload(self) -> dict[str, Any]:
        return {"query": self._text, "operationName": self.operation_name, "variables": self.variable_values}

    def __str__(self) -> str:
        return f"<request {self.operation_name}>"

    __repr__ = __str__


def operations() -> tuple[str, ...]:
    """The names of all operations, in the order of operations.graphql."""
    return tuple(_definitions()[0])


@cache
def document(operation: str) -> Document:
    """The document of one operation, as operations.graphql has it. Raises LookupError for a name it does not have."""
    definition = _operation(operation)
    return _document(operation, definition, (operation,))


def query(operation: str) -> Document:
    """The document of a query; ValueError for a mutation, which must not be retried like one."""
    if document(operation).mutates:
        raise ValueError(f"{operation} is a mutation: use mutate")
    return document(operation)


def mutation(operation: str) -> Document:
    """The document of a mutation; ValueError for a query."""
    if not document(operation).mutates:
        raise ValueError(f"{operation} is a query: use query")
    return document(operation)


@cache
def aliased(operation: str, copies: int) -> Document:
    """One document that asks a query `copies` times: `data` will have the keys a0, a1, …; `$to` becomes `$to_0`, ….

    Raises ValueError for a mutation: a failing alias may hide what the others did.
    """
    definition = _operation(operation)
    if definition.operation is not OperationType.QUERY:
        raise ValueError(f"{operation} is a mutation: it is sent alone, never many in one document")
    many = OperationDefinitionNode(
        operation=definition.operation,
        name=definition.name,
        variable_definitions=tuple(
            _numbered(variable, copy) for copy in range(copies) for variable in definition.variable_definitions
        ),
        directives=definition.directives,
        selection_set=SelectionSetNode(selections=tuple(_copied(definition, copy) for copy in range(copies))),
    )
    return _document(operation, many, tuple(f"a{copy}" for copy in range(copies)))


def spread(variables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The variables of an aliased document: those of item 3 get the ending `_3`."""
    return {f"{name}_{copy}": value for copy, item in enumerate(variables) for name, value in item.items()}


@cache
def _definitions() -> tuple[dict[str, OperationDefinitionNode], dict[str, FragmentDefinitionNode]]:
    text = files(__package__).joinpath("operations.graphql").read_text(encoding="utf-8")
    tree = parse(text + catalog.fragments(), no_location=True)
    named = {
        node.name.value: node for node in tree.definitions if isinstance(node, OperationDefinitionNode) and node.name
    }
    fragments = {node.name.value: node for node in tree.definitions if isinstance(node, FragmentDefinitionNode)}
    return named, fragments


def _operation(name: str) -> OperationDefinitionNode:
    named = _definitions()[0]
    if name not in named:
        raise LookupError(f"operations.graphql has no operation {name!r}; it has: {', '.join(named)}")
    return named[name]


def _document(operation: str, definition: OperationDefinitionNode, keys: tuple[str, ...]) -> Document:
    node = DocumentNode(definitions=(definition, *_needed(definition)))
    return Document(
        operation=operation,
        node=node,
        text=strip_ignored_characters(print_ast(node)),
        keys=keys,
        variables=frozenset(variable.variable.name.value for variable in definition.variable_definitions),
        mutates=definition.operation is OperationType.MUTATION,
    )


def _needed(definition: OperationDefinitionNode) -> list[FragmentDefinitionNode]:
    """The fragments that an operation spreads, directly or through others; Volt refuses a document with unused ones."""
    fragments = _definitions()[1]
    found: dict[str, FragmentDefinitionNode] = {}
    waiting: list[Node] = [definition]
    while waiting:
        spreads = _Spreads()
        visit(waiting.pop(), spreads)
        for name in spreads.names:
            if name not in found:
                found[name] = fragments[name]
                waiting.append(fragments[name])
    return list(found.values())


class _Spreads(Visitor):
    """Collects the names of the fragments spread in a tree, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.names.append(node.name.value)


class _Number(Visitor):
    """Gives every variable in a tree the ending `_<copy>`; `visit` leaves the original tree alone."""

    def __init__(self, copy: int) -> None:
        super().__init__()
        self._copy = copy

    def enter_variable(self, node: VariableNode, *_: Any) -> VariableNode:
        return VariableNode(name=NameNode(value=f"{node.name.value}_{self._copy}"))


def _numbered(variable: VariableDefinitionNode, copy: int) -> VariableDefinitionNode:
    renamed: VariableDefinitionNode = visit(variable, _Number(copy))
    return renamed


def _copied(definition: OperationDefinitionNode, copy: int) -> FieldNode:
    (root,) = definition.selection_set.selections
    field: FieldNode = visit(root, _Number(copy))
    return FieldNode(
        alias=NameNode(value=f"a{copy}"),
        name=field.name,
        arguments=field.arguments,
        directives=field.directives,
        selection_set=field.selection_set,
    )
