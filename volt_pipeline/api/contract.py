"""Volt's published API (schema.graphql), and what a document of ours uses of it.

Things are named as GraphQL's own "schema coordinates" do it: `Wave`, `Wave.sentBy`, `Query.inbox(before:)`,
`WaveType.account`. Trees are rewritten and read through graphql-core with the schema's types at hand, so that a field
is known by the type it belongs to, wherever it is selected.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from graphql import (
    REMOVE,
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
    NameNode,
    Node,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    Visitor,
    build_schema,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
    type_from_ast,
    visit,
)


@cache
def published() -> GraphQLSchema:
    """schema.graphql, built once."""
    return build_schema(files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8"))


def used(tree: Node) -> frozenset[str]:
    """The coordinates of all that a document needs Volt to know: types, fields, arguments, and what variables hold.

    Of an input type every field counts, of an enum that is sent every value: any of them may be sent.
    """
    reader = _Used()
    _read(tree, reader)
    return frozenset(reader.found)


def selected(tree: Node) -> frozenset[str]:
    """The fields that a document selects, as `Type.field`."""
    reader = _Used()
    _read(tree, reader)
    return frozenset(reader.fields)


def pruned(tree: DocumentNode, without: frozenset[str]) -> DocumentNode:
    """A document without some fields (`Type.field`), wherever it selects them; the tree itself is left alone.

    A selection that would be empty keeps `__typename`, for GraphQL has no empty ones. Raises ValueError for a root
    field: a question that is not asked is no smaller question.
    """
    smaller: DocumentNode = _read(tree, _Prune(without))
    return smaller


def meta(kind: GraphQLNamedType) -> bool:
    """Whether a type is GraphQL's own or a server's own machinery (`__Schema`, `String`, `_Service`)."""
    return is_introspection_type(kind) or is_specified_scalar_type(kind) or kind.name.startswith("_")


def _read(tree: Node, reader: _Typed) -> Any:
    return visit(tree, TypeInfoVisitor(reader.types, reader))


class _Typed(Visitor):
    """Knows, at each field, the name of the type that the field belongs to."""

    def __init__(self) -> None:
        super().__init__()
        self.types = TypeInfo(published())

    def owner(self, node: FieldNode) -> str:
        """The type that a field belongs to; empty where schema.graphql has no such field (`__typename` is nobody's)."""
        parent = self.types.get_parent_type()
        return parent.name if parent is not None and node.name.value in getattr(parent, "fields", ()) else ""


class _Used(_Typed):
    def __init__(self) -> None:
        super().__init__()
        self.fields: set[str] = set()
        self.found: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        owner, definition = self.owner(node), self.types.get_field_def()
        if not owner or definition is None:
            return
        field = f"{owner}.{node.name.value}"
        self.fields.add(field)
        self.found |= {owner, field, get_named_type(definition.type).name}
        self.found |= {f"{field}({argument.name.value}:)" for argument in node.arguments}

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        sent = type_from_ast(published(), node.type)
        if sent is not None:
            self.found.update(_sent(get_named_type(sent)))


class _Prune(_Typed):
    def __init__(self, without: frozenset[str]) -> None:
        super().__init__()
        self._without = without
        schema = published()
        self._roots = {root.name for root in (schema.query_type, schema.mutation_type) if root is not None}

    def enter_field(self, node: FieldNode, *_: Any) -> Any:
        owner = self.owner(node)
        if f"{owner}.{node.name.value}" not in self._without:
            return None
        if owner in self._roots:
            raise ValueError(f"{owner}.{node.name.value} is the question itself: it cannot be left out")
        return REMOVE

    def leave_selection_set(self, node: SelectionSetNode, *_: Any) -> SelectionSetNode | None:
        if node.selections:
            return None
        name = FieldNode(name=NameNode(value="__typename"), alias=None, arguments=(), directives=(), selection_set=None)
        return SelectionSetNode(selections=(name,))


def _sent(kind: GraphQLNamedType) -> Iterator[str]:
    """The coordinates of an input type and of all that can stand in it."""
    waiting, seen = [kind], set[str]()
    while waiting:
        kind = waiting.pop()
        if kind.name in seen or meta(kind):
            continue
        seen.add(kind.name)
        yield kind.name
        if isinstance(kind, GraphQLEnumType):
            yield from (f"{kind.name}.{value}" for value in kind.values)
        elif isinstance(kind, GraphQLInputObjectType):
            yield from (f"{kind.name}.{field}" for field in kind.fields)
            waiting.extend(get_named_type(field.type) for field in kind.fields.values())
