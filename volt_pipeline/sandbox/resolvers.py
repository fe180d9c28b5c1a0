"""The contract, executed: schema.graphql bound to a world.

Fields are answered from the attribute of the same name in snake_case; only what Volt computes has a resolver of its
own. Execution follows the GraphQL rules by graphql-core, so errors, nulls and their spreading are the real thing.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
)

from .entities import Account, Contact, ContactList, InboxItem, Message, not_found
from .mutations import MUTATIONS
from .paging import Page, PageInfo, page, stamp
from .world import World

SDL = Path(__file__).parent.parent / "api" / "schema.graphql"
Pager = Callable[..., Page[Any]]  # page() of paging.py, or one that errs
CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(slots=True, frozen=True)
class ConversationPage:
    messages: list[Message]
    page_info: PageInfo


@dataclass(slots=True, frozen=True)
class InboxPage:
    account: Account | None
    items: list[InboxItem]
    page_info: PageInfo


def contact(world: World, primary_phone: str, phone_number: str) -> Contact | None:
    return world.ledger.contact(world.ledger.account(primary_phone), phone_number)


def conversation(
    world: World, to: str, from_: str, before: str | None = None, *, turn: Pager = page
) -> ConversationPage:
    known = world.ledger.contact(world.ledger.account(from_), to)
    if known is None:
        raise not_found("Contact")
    found = turn(world.ledger.conversations[known.id], before, world.conversation_page)
    return ConversationPage(found.items, found.page_info)


def inbox(world: World, from_: str, before: str | None = None, *, turn: Pager = page) -> InboxPage:
    account = world.ledger.account(from_)
    found = turn(world.ledger.inboxes[account.id].entries, before, world.inbox_page)
    return InboxPage(account, found.items, found.page_info)


def list_(world: World, primary_phone: str, list_name: str) -> ContactList:
    return world.ledger.list_named(world.ledger.account(primary_phone), list_name)


QUERIES: dict[str, Callable[..., Any]] = {
    "contact": contact,
    "conversation": conversation,
    "inbox": inbox,
    "legacyMessage": lambda world, id_: world.ledger.legacy_message(id_),
    "list": list_,
    "message": lambda world, id_: world.ledger.messages.get(id_),
    "wave": lambda world, id_: world.ledger.waves.get(id_),
    "webhooks": lambda world: world.webhooks,
}


def _lists_of(contact: Contact, info: GraphQLResolveInfo) -> list[ContactList]:
    world: World = info.context
    return world.lists_of(contact)


def _size(chosen: ContactList, info: GraphQLResolveInfo) -> int:
    world: World = info.context
    return world.size(chosen)


def _confirmed_at(message: Message, _info: GraphQLResolveInfo) -> str:
    return "" if message.confirmed_at is None else stamp(message.confirmed_at)


def _contact_of(message: Message, _info: GraphQLResolveInfo) -> Contact | None:
    return None if message.contact.is_gone else message.contact


COMPUTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("Contact", "lists"): _lists_of,
    ("List", "size"): _size,
    ("Message", "confirmedAt"): _confirmed_at,
    ("Message", "contact"): _contact_of,
}


@cache
def schema() -> GraphQLSchema:
    return bound(SDL.read_text(encoding="utf-8"))


def bound(sdl: str) -> GraphQLSchema:
    """The contract, or a drifted version of it, with the resolvers of those fields that it has."""
    built = build_schema(sdl)
    # Introspection's own types are shared by all schemas of the process, and are left alone.
    for type_ in (each for name, each in built.type_map.items() if not name.startswith("__")):
        if isinstance(type_, GraphQLObjectType):
            for field in type_.fields.values():
                _name_in_python(field.args.items())
        elif isinstance(type_, GraphQLInputObjectType):
            _name_in_python(type_.fields.items())
    resolvers = {("Query", name): _query(answer) for name, answer in QUERIES.items()} | COMPUTED
    resolvers |= {("Mutation", name): _mutation(name) for name in MUTATIONS}
    for (type_name, name), resolve in resolvers.items():
        owner = built.type_map.get(type_name)
        if isinstance(owner, GraphQLObjectType) and name in owner.fields:
            owner.fields[name].resolve = resolve
    return built


def _name_in_python(named: Iterable[tuple[str, GraphQLArgument | GraphQLInputField]]) -> None:
    for name, argument in named:
        argument.out_name = snake(name)


@cache
def snake(name: str) -> str:
    """primaryPhone → primary_phone; `from` → `from_`, since a keyword (or a builtin) cannot name an argument."""
    lowered = CAPITAL.sub("_", name).lower()
    return f"{lowered}_" if keyword.iskeyword(lowered) or lowered in ("id", "type") else lowered


def _query(answer: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(_root: None, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        return answer(info.context, **arguments)

    return resolve


def _mutation(name: str) -> Callable[..., Any]:
    def resolve(_root: None, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        world: World = info.context
        return world.mutate(name, arguments)

    return resolve


@cache
def _attribute(field_name: str) -> str:
    return CAPITAL.sub("_", field_name).lower()


def from_attribute(source: Any, info: GraphQLResolveInfo) -> Any:
    value = getattr(source, _attribute(info.field_name))
    return stamp(value) if isinstance(value, datetime) else value
