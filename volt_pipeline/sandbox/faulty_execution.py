"""Faults at work while a document is executed: a middleware around every resolver, only there when a fault is on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from graphql import GraphQLResolveInfo, MiddlewareManager
from graphql.pyutils import Path

from .fault_fields import ANY, MISSING, identity
from .fault_paging import Place
from .faults import Faults
from .paging import Page, PageInfo, from_micros, micros, stamp
from .resolvers import ConversationPage, InboxPage, schema, snake

COARSE = {("Message", "sentAt"), ("InboxMessage", "lastMessageTime")}
Alter = Callable[[Any], Any]


class FaultyExecution:
    """One execution under faults. `apply` comes last: it puts the raw values into the finished data."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._altered: list[tuple[Path, Alter]] = []
        self._extended: dict[tuple[str | int, ...], dict[str, Any]] = {}

    def middleware(self) -> MiddlewareManager:
        return MiddlewareManager(self)

    def resolve(self, next_: Callable[..., Any], source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        """What graphql-core calls in the place of each resolver."""
        type_name, name = info.parent_type.name, info.field_name
        if name.startswith("__") or type_name.startswith("__"):
            return next_(source, info, **arguments)
        self._note(source, info)
        nulls = self.faults.null_fields
        if nulls and not nulls.isdisjoint({(type_name, identity(source), name), (type_name, ANY, name)}):
            return None
        if type_name in ("Query", "Mutation"):
            return self._root(next_, source, info, arguments)
        self._fail_for(source)
        return self._checked(self._value(next_, source, info, arguments))

    def _value(self, next_: Callable[..., Any], source: Any, info: GraphQLResolveInfo, arguments: Any) -> Any:
        place = info.parent_type.name, info.field_name
        if place in self.faults.drift_values:
            value = self.faults.drift_values[place]
            return value(source) if callable(value) else value
        if self.faults.drift is not None and not _in_the_contract(*place):
            return None
        if place in COARSE and self.faults.coarse_times is not None:
            at = micros(getattr(source, snake(info.field_name)))
            step = self.faults.coarse_times // from_micros(1).resolution
            return stamp(from_micros(at - at % step))
        return next_(source, info, **arguments)

    def _root(self, next_: Callable[..., Any], source: Any, info: GraphQLResolveInfo, arguments: Any) -> Any:
        faults, name = self.faults, info.field_name
        if faults.revoked:
            return _nothing(name, is_empty=faults.revoked == "empty")
        if name not in ("inbox", "conversation") or not _in_the_contract("Query", name):
            return self._checked(self._value(next_, source, info, arguments))
        place: Place = arguments["from_"] if name == "inbox" else (arguments["from_"], arguments["to"])
        if place in faults.failing_inboxes or place in faults.failing_conversations:
            raise RuntimeError("Internal server error")
        if faults.errs_in_paging:
            faults.begin_page(name, place, arguments.get("before"))
            arguments = {**arguments, "turn": partial(faults.turn, place)}
        return next_(source, info, **arguments)

    def _fail_for(self, value: Any) -> None:
        if self.faults.fails(value):
            raise RuntimeError("Internal server error")

    def _checked(self, value: Any) -> Any:
        self._fail_for(value)
        return value

    # --- raw values -------------------------------------------------------------------------------------------

    def _note(self, source: Any, info: GraphQLResolveInfo) -> None:
        """Remember where in the answer a value is to be altered: by path, so aliases make no difference."""
        faults, type_name, name = self.faults, info.parent_type.name, info.field_name
        if faults.integer_ids and name == "id":
            self._altered.append((info.path, _as_integer))
        if faults.nested_media and name == "media":
            self._altered.append((info.path, lambda media: [media]))
        for patch in faults.patches:
            if (patch.type_name, patch.field) == (type_name, name) and patch.concerns(source):
                self._altered.append((info.path, patch.value if callable(patch.value) else _constant(patch.value)))
        if type_name in faults.extra_fields:
            above = info.path.prev
            self._extended[tuple(above.as_list()) if above else ()] = faults.extra_fields[type_name]

    def apply(self, data: Any) -> None:
        for path, alter in self._altered:
            above, name = path.as_list()[:-1], str(path.key)
            held = _reached(data, above)
            if held is not None and name in held:
                held[name] = alter(held[name])
                if held[name] is MISSING:
                    del held[name]
        for place, members in self._extended.items():
            held = _reached(data, list(place))
            if held is not None:
                held.update(members)


def _reached(data: Any, keys: list[str | int]) -> dict[str, Any] | None:
    """The object at a path, unless an error or another fault has made something else of it or of what is above."""
    for key in keys:
        whole = key in data if isinstance(data, dict) else isinstance(data, list) and isinstance(key, int)
        if not whole:
            return None
        data = data[key]
    return data if isinstance(data, dict) else None


def _as_integer(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _constant(value: Any) -> Alter:
    return lambda _right: value


def _in_the_contract(type_name: str, name: str) -> bool:
    return name in getattr(schema().type_map.get(type_name), "fields", ())


def _nothing(root: str, *, is_empty: bool) -> Any:
    empty: Page[Any] = Page([], PageInfo(0, None, False))
    if is_empty and root == "inbox":
        return InboxPage(None, empty.items, empty.page_info)
    if is_empty and root == "conversation":
        return ConversationPage(empty.items, empty.page_info)
    return [] if is_empty and root == "webhooks" else None
