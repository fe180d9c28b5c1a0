"""The documents sent to Volt: each operation with the fragments it needs, parsed and printed once.

Printing a document costs about as much as the rest of a request, so every text is made once and kept. A document for
many items asks the same query several times under aliases, made by rewriting the parsed tree:

    query conversation($to_0: String!, …, $to_1: String!, …) {
      a0: conversation(to: $to_0, …) { … }
      a1: conversation(to: $to_1, …) { … }
    }

Each can be had `without` some fields (`Message.body`), for answers that one broken field would spoil.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
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
    get_introspection_query,
    parse,
    print_ast,
    strip_ignored_characters,
    visit,
)

from volt_pipeline.api.contract import pruned
from volt_pipeline.api.fragments import fragments

WHOLE: frozenset[str] = frozenset()  # without nothing


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its parsed `node`, the `text` that travels, and the keys its answer's `data` will have."""

    operation: str
    node: DocumentNode
    text: str
    keys: tuple[str, ...]
    variables: frozenset[str]
    names: frozenset[str]  # of all fields it selects: what a path into its answer can be made of
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


@lru_cache(maxsize=1024)
def document(operation: str, without: frozenset[str] = WHOLE) -> Document:
    """The document of one operation, as operations.graphql has it, without the fields named `Type.field`.

    Raises LookupError for an operation it does not have; a field that it does not select is no error.
    """
    definition = _operation(operation, without)
    return _document(operation, definition, (operation,), without)


def query(operation: str, without: frozenset[str] = WHOLE) -> Document:
    """The document of a query; ValueError for a mutation, which must not be retried like one."""
    if document(operation).mutates:
        raise ValueError(f"{operation} is a mutation: use mutate")
    return document(operation, without)


def mutation(operation: str) -> Document:
    """The document of a mutation; ValueError for a query."""
    if not document(operation).mutates:
        raise ValueError(f"{operation} is a query: use query")
    return document(operation)


@lru_cache(maxsize=1024)
def aliased(operation: str, copies: int, without: frozenset[str] = WHOLE) -> Document:
    """One document that asks a query `copies` times: `data` will have the keys a0, a1, …; `$to` becomes `$to_0`, ….

    Raises ValueError for a mutation: a failing alias may hide what the others did (`aliased_mutation`).
    """
    definition = _operation(operation, without)
    if definition.operation is not OperationType.QUERY:
        raise ValueError(f"{operation} is a mutation: it is sent alone, never many in one document")
    return _copies(operation, definition, copies, without)


@lru_cache(maxsize=256)
def aliased_mutation(operation: str, copies: int) -> Document:
    """One document that holds a mutation `copies` times, under aliases as in `aliased`. ValueError for a query.

    Only for what may be read back: where one alias fails, nothing tells what the others did.
    """
    mutation(operation)
    return _copies(operation, _operation(operation, WHOLE), copies, WHOLE)


def _copies(operation: str, definition: OperationDefinitionNode, copies: int, without: frozenset[str]) -> Document:
    many = OperationDefinitionNode(
        operation=definition.operation,
        name=definition.name,
        variable_definitions=tuple(
            _numbered(variable, copy) for copy in range(copies) for variable in definition.variable_definitions
        ),
        directives=definition.directives,
        selection_set=SelectionSetNode(selections=tuple(_copied(definition, copy) for copy in range(copies))),
    )
    return _document(operation, many, tuple(f"a{copy}" for copy in range(copies)), without)


def spread(variables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The variables of an aliased document: those of item 3 get the ending `_3`."""
    return {f"{name}_{copy}": value for copy, item in enumerate(variables) for name, value in item.items()}


@cache
def introspections() -> tuple[Document, ...]:
    """The ways to ask a server to describe itself, the fullest first.

    Servers of older editions of GraphQL do not know `includeDeprecated` on arguments; the others hide a deprecated
    argument from who does not say it, and it would seem gone.
    """
    found = []
    for deprecated in (True, False):
        text = get_introspection_query(descriptions=False, input_value_deprecation=deprecated)
        node = parse(text, no_location=True)
        (definition,) = (each for each in node.definitions if isinstance(each, OperationDefinitionNode))
        fragments = [each for each in node.definitions if isinstance(each, FragmentDefinitionNode)]
        found.append(_made("IntrospectionQuery", definition, fragments, ("__schema",)))
    return tuple(found)


@cache
def _tree() -> DocumentNode:
    text = files(__package__).joinpath("operations.graphql").read_text(encoding="utf-8")
    return parse(text + fragments(), no_location=True)


@lru_cache(maxsize=64)
def _definitions(
    without: frozenset[str] = WHOLE,
) -> tuple[dict[str, OperationDefinitionNode], dict[str, FragmentDefinitionNode]]:
    tree = pruned(_tree(), without) if without else _tree()
    named = {
        node.name.value: node for node in tree.definitions if isinstance(node, OperationDefinitionNode) and node.name
    }
    fragments = {node.name.value: node for node in tree.definitions if isinstance(node, FragmentDefinitionNode)}
    return named, fragments


def _operation(name: str, without: frozenset[str]) -> OperationDefinitionNode:
    named = _definitions(without)[0]
    if name not in named:
        raise LookupError(f"operations.graphql has no operation {name!r}; it has: {', '.join(named)}")
    return named[name]


def _document(
    operation: str, definition: OperationDefinitionNode, keys: tuple[str, ...], without: frozenset[str]
) -> Document:
    return _made(operation, definition, _needed(definition, _definitions(without)[1]), keys)


def _made(
    operation: str,
    definition: OperationDefinitionNode,
    fragments: Sequence[FragmentDefinitionNode],
    keys: tuple[str, ...],
) -> Document:
    node = DocumentNode(definitions=(definition, *fragments))
    fields = _Names()
    visit(node, fields)
    return Document(
        operation=operation,
        node=node,
        text=strip_ignored_characters(print_ast(node)),
        keys=keys,
        variables=frozenset(variable.variable.name.value for variable in definition.variable_definitions),
        names=frozenset(fields.found),
        mutates=definition.operation is OperationType.MUTATION,
    )


def _needed(
    definition: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> list[FragmentDefinitionNode]:
    """The fragments that an operation spreads, directly or through others; Volt refuses a document with unused ones."""
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


class _Names(Visitor):
    """Collects the names of the fields selected in a tree."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.found.add(node.name.value)


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
