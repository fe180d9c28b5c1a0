"""Drift: what Volt's API is today, as it describes itself, against schema.graphql, the contract we were built on.

    for difference in await drift(volt):
        print(difference)  # Wave.sentBy is gone: it was String!. Needed by wave, scheduleMessage, scheduleWave

What is compared is what a client can notice: types, fields, arguments, enum values, nullability, deprecation. What
this token may not see looks gone. Volt's root types may have any name; they are compared with our Query and Mutation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLError,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    IntrospectionQuery,
    Undefined,
    ast_from_value,
    build_client_schema,
    is_required_argument,
    is_required_input_field,
    print_ast,
)

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.contract import meta, published, used
from volt_pipeline.api.documents import document, operations
from volt_pipeline.api.errors import ContractError
from volt_pipeline.api.redaction import redact

Kind = Literal["gone", "changed", "new"]
_KINDS: tuple[Kind, ...] = ("gone", "changed", "new")
_WORDS = {
    GraphQLObjectType: "an object type",
    GraphQLInputObjectType: "an input type",
    GraphQLEnumType: "an enum",
    GraphQLInterfaceType: "an interface",
    GraphQLUnionType: "a union",
    GraphQLScalarType: "a scalar",
}
_Input = GraphQLArgument | GraphQLInputField
_Member = GraphQLField | GraphQLEnumValue | _Input


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `what` is a schema coordinate: `Wave`, `Wave.sentBy`, `Query.inbox(before:)`, `WaveType.account`.

    `operations` are those of ours that use it, so that its loss stops them (for something new: those that must send
    it from now on); `needed` says that there are some.
    """

    kind: Kind
    what: str
    detail: str
    needed: bool
    operations: tuple[str, ...] = ()

    def __str__(self) -> str:
        verb = "has changed" if self.kind == "changed" else f"is {self.kind}"
        needed = f". Needed by {', '.join(self.operations)}" if self.needed else ""
        return f"{self.what} {verb}: {self.detail}{needed}"


async def drift(volt: VoltClient) -> list[Difference]:
    """What differs between Volt's live API and schema.graphql; what our operations need comes first.

    Raises ContractError when Volt does not let itself be introspected: then nothing can be said. Other VoltErrors are
    those of a query.
    """
    described = await volt.introspect()
    if described.partial is not None:
        raise described.partial  # what is missing from the description would seem gone
    return compare(schema_from_introspection(described.value))


def schema_from_introspection(description: Mapping[str, Any]) -> GraphQLSchema:
    """The schema that a value of `__schema` describes. Raises ContractError for one that describes none."""
    try:
        live = build_client_schema(IntrospectionQuery(__schema=description))  # type: ignore[typeddict-item]
    except (GraphQLError, TypeError, KeyError, ValueError, AttributeError, RecursionError):
        live = GraphQLSchema()  # their texts may quote Volt
    if live.query_type is None:
        message = "Volt's description of its API cannot be understood, so drift cannot be seen"
        raise ContractError("IntrospectionQuery", message, whole=True)
    return live


def compare(live: GraphQLSchema) -> list[Difference]:
    """What differs between a schema and schema.graphql."""
    ours = published()
    roles = {
        root.name: other
        for root, other in ((ours.query_type, live.query_type), (ours.mutation_type, live.mutation_type))
        if root is not None
    }
    found: list[Difference] = []
    for name, kind in ours.type_map.items():
        if not meta(kind):
            found += _type(kind, roles[name] if name in roles else live.type_map.get(name))
    known = ours.type_map.keys() | {root.name for root in roles.values() if root is not None}
    found += [
        _differs("new", name, f"it is {_described(kind)}")
        for name, kind in live.type_map.items()
        if name not in known and not meta(kind)
    ]
    return sorted(found, key=lambda each: (not each.needed, _KINDS.index(each.kind), each.what))


def _type(ours: GraphQLNamedType, live: GraphQLNamedType | None) -> Iterator[Difference]:
    """The differences of one type; one that is gone, or another kind of thing now, is one difference."""
    if live is None:
        yield _differs("gone", ours.name, f"it was {_described(ours)}", ours.name)
    elif type(ours) is not type(live):
        detail = f"it was {_described(ours)} and is {_described(live)}"
        yield _differs("changed", ours.name, detail, ours.name)
    else:
        mine, theirs = _members(ours), _members(live)
        for name, member in mine.items():
            yield from _member(f"{ours.name}.{name}", member, theirs.get(name))
        for name, member in theirs.items():
            if name not in mine and not name.startswith("_"):
                yield _new(f"{ours.name}.{name}", member, ours.name)


def _member(what: str, ours: _Member, live: _Member | None) -> Iterator[Difference]:
    """The differences of one field, input field or enum value, with its arguments."""
    yield from _one(what, ours, live)
    if isinstance(ours, GraphQLField) and isinstance(live, GraphQLField):
        for name, argument in ours.args.items():
            yield from _one(f"{what}({name}:)", argument, live.args.get(name))
        for name, argument in live.args.items():
            if name not in ours.args:
                yield _new(f"{what}({name}:)", argument, what)


def _one(what: str, ours: _Member, live: _Member | None) -> Iterator[Difference]:
    if live is None:
        yield _differs("gone", what, f"it was {_shape(ours)}", what)
        return
    if _shape(ours) != _shape(live):
        only = " (only nullability)" if _shape(ours).replace("!", "") == _shape(live).replace("!", "") else ""
        yield _differs("changed", what, f"it was {_shape(ours)} and is {_shape(live)}{only}", what)
    if live.deprecation_reason is not None and ours.deprecation_reason is None:
        reason = redact(live.deprecation_reason) or "no reason given"
        yield _differs("changed", what, f"Volt means to remove it ({reason})", what)


def _new(what: str, member: _Member, where: str) -> Difference:
    """Something new in `where`; what must be sent from now on stops whoever uses `where`."""
    required = (isinstance(member, GraphQLArgument) and is_required_argument(member)) or (
        isinstance(member, GraphQLInputField) and is_required_input_field(member)
    )
    return _differs("new", what, f"it is {_shape(member)}{', and required' * required}", where if required else "")


def _differs(kind: Kind, what: str, detail: str, needs: str = "") -> Difference:
    users = tuple(operation for operation in operations() if needs in _used(operation))
    return Difference(kind, what, detail, bool(users), users)


@cache
def _used(operation: str) -> frozenset[str]:
    return used(document(operation).node)


def _members(kind: GraphQLNamedType) -> Mapping[str, _Member]:
    members: Mapping[str, _Member] = {}
    if isinstance(kind, GraphQLEnumType):
        members = kind.values
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        members = kind.fields
    return members


def _described(kind: GraphQLNamedType) -> str:
    """A type in a few words: "an object type (id, name)"."""
    names = ", ".join(_members(kind))
    word = next((word for base, word in _WORDS.items() if isinstance(kind, base)), "a type")
    return f"{word} ({redact(names)})" if names else word


def _shape(member: _Member) -> str:
    """A field's or argument's type as GraphQL writes it, with its default; an enum value has none."""
    if isinstance(member, GraphQLEnumValue):
        return "an enum value"
    if isinstance(member, GraphQLField) or member.default_value is Undefined:
        return str(member.type)
    default = ast_from_value(member.default_value, member.type)
    return f"{member.type} = {redact(print_ast(default))}" if default else str(member.type)
