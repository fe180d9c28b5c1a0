"""Volt's contract, changed under its clients: fields removed, added, or of another type.

An edit is a function from SDL text to SDL text; `chained` makes one of several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    parse,
    parse_type,
    print_ast,
)

from .resolvers import SDL, bound

Edit = Callable[[str], str]


@dataclass
class DriftFaults:
    """The part of `Faults` about the contract itself."""

    drift: Edit | None = None
    """Serve the contract that this makes of the SDL: introspection, validation and execution follow at once.

    The same function must always make the same of it: the outcome is kept.
    """

    drift_values: dict[tuple[str, str], Any] = field(default_factory=dict)
    """(type, field) to what it resolves to, or a function of the sandbox's object: for added and retyped fields.

    Without one, an added field is null and a retyped one is served as far as its new type can hold the old value.
    """


@lru_cache(maxsize=64)
def drifted(edit: Edit) -> GraphQLSchema:
    return bound(edit(SDL.read_text(encoding="utf-8")))


def removed(place: str) -> Edit:
    """The field "Contact.blocked" is no more; of an input type, too."""
    type_name, name = place.split(".")

    def edit(sdl: str) -> str:
        document, type_ = _found(sdl, type_name)
        type_.fields = tuple(each for each in type_.fields if each is not _field(type_, name))
        return print_ast(document)

    return edit


def added(type_name: str, declaration: str) -> Edit:
    """A type gains a field: added("Contact", "nickname: String")."""

    def edit(sdl: str) -> str:
        document, type_ = _found(sdl, type_name)
        kind = "input" if isinstance(type_, InputObjectTypeDefinitionNode) else "type"
        gained = parse(f"{kind} Gained {{ {declaration} }}").definitions[0]
        type_.fields = (*type_.fields, *getattr(gained, "fields", ()))
        return print_ast(document)

    return edit


def retyped(place: str, type_text: str) -> Edit:
    """A field has another type or nullability: retyped("Message.confirmedAt", "String")."""
    type_name, name = place.split(".")

    def edit(sdl: str) -> str:
        document, type_ = _found(sdl, type_name)
        _field(type_, name).type = parse_type(type_text)
        return print_ast(document)

    return edit


def chained(*edits: Edit) -> Edit:
    def edit(sdl: str) -> str:
        for each in edits:
            sdl = each(sdl)
        return sdl

    return edit


def _found(sdl: str, type_name: str) -> tuple[DocumentNode, Any]:
    document = parse(sdl)
    for node in document.definitions:
        if isinstance(node, ObjectTypeDefinitionNode | InputObjectTypeDefinitionNode) and node.name.value == type_name:
            return document, node
    raise ValueError(f"the contract has no type {type_name} with fields")


def _field(type_: Any, name: str) -> Any:
    for node in type_.fields:
        if node.name.value == name:
            return node
    raise ValueError(f"the contract has no field {type_.name.value}.{name}")
