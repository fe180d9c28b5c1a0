"""Which field an error points at, and whether an operation can do without it.

One message whose body Volt cannot give nulls a whole conversation: every field up to the root is non-null. The error
says where it stood (`VoltError.paths`); asked again `without` that field, the conversation can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from graphql import GraphQLNamedType, GraphQLObjectType, get_named_type

from volt_pipeline.api.contract import published, selected
from volt_pipeline.api.documents import document
from volt_pipeline.api.errors import Path
from volt_pipeline.catalog import STREAMS

_ROWS = frozenset(stream.type_name for stream in STREAMS if stream.type_name)


def suspects(operation: str, paths: Iterable[Path]) -> frozenset[str]:
    """The innermost fields (`Type.field`) of error paths that the operation can do without.

    A column is left out whole: a path into a contact's custom fields gives `Contact.customFields`, for half a custom
    field would be stored as if it were one. A path to a list's id gives `Contact.lists`, since a contact can be stored
    without its lists, but a list not without its id. Keys and what pages are made of (`pageInfo`, `messages`) are never
    given.
    """
    can_go = droppable(operation)
    innermost = (next((field for field in _fields(operation, path) if field in can_go), "") for path in paths)
    return frozenset(filter(None, innermost))


@cache
def droppable(operation: str) -> frozenset[str]:
    """The fields that an operation selects and that rows can be read without: columns that are no part of a key."""
    fields = selected(document(operation).node)
    return frozenset(field for field in fields if field.partition(".")[0] in _ROWS) - _keys()


def _fields(operation: str, path: Path) -> Sequence[str]:
    """The fields of rows that a path goes through, the last one first; none if the path leads nowhere."""
    schema = published()
    root = schema.mutation_type if document(operation).mutates else schema.query_type
    kind: GraphQLNamedType | None = root
    fields: list[str] = []
    for step in (operation, *path):
        if isinstance(step, int):
            continue
        if not isinstance(kind, GraphQLObjectType) or step not in kind.fields:
            return []
        if kind.name in _ROWS:
            fields.insert(0, f"{kind.name}.{step}")
        kind = get_named_type(kind.fields[step].type)
    return fields


@cache
def _keys() -> frozenset[str]:
    """Every field on the way to a key column: `Message.id`, `InboxMessage.contact`, `Contact.phoneNumber`, …"""
    found: set[str] = set()
    for stream in STREAMS:
        for column in stream.read:
            if column.name not in stream.key:
                continue
            kind = published().type_map[stream.type_name]
            for step in column.path.split("."):
                assert isinstance(kind, GraphQLObjectType)  # noqa: S101  # the catalogue is checked against the schema
                found.add(f"{kind.name}.{step}")
                kind = get_named_type(kind.fields[step].type)
    return frozenset(found)
