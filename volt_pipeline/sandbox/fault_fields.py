"""Objects that go wrong: nulls, failing resolvers, values that no schema would let through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from .entities import Contact, ContactList, Message, Wave

ANY = "*"
MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING"})()


@dataclass(slots=True, frozen=True)
class Patch:
    """One field of some objects, replaced in the finished answer by a raw value that no type check has seen.

    `of` is an object's id (see `identity`), ANY, or a test of the sandbox's own object (entities.py). `value` is what
    JSON can hold, MISSING to leave the field out, or a function from the right value (as JSON) to the wrong one.
    """

    type_name: str
    field: str
    value: Any
    of: str | Callable[[Any], bool] = ANY

    def concerns(self, source: Any) -> bool:
        return self.of(source) if callable(self.of) else self.of in (ANY, identity(source))


@dataclass
class FieldFaults:
    """The part of `Faults` about single objects and their fields."""

    null_fields: set[tuple[str, str, str]] = field(default_factory=set)
    """(type, object's id or ANY, field) that resolve to null: in a non-null field the error spreads upwards.

    A message without a status takes the whole page with it, and in a document of many aliases all of `data`.
    """

    failing_messages: set[str] = field(default_factory=set)
    """Ids of messages whose resolvers raise, wherever they stand: one poisons its conversation's page."""

    failing_contacts: set[str] = field(default_factory=set)
    """Ids of contacts whose resolvers raise: their inbox item and messages name no contact, beside an error."""

    failing_waves: set[str] = field(default_factory=set)
    """Ids of waves whose resolvers raise, at the root and beside messages."""

    failing_lists: set[str] = field(default_factory=set)
    """Names of lists whose resolvers raise: at the root nothing is left of `data`, and members cannot be read."""

    failing_conversations: set[tuple[str, str]] = field(default_factory=set)
    """(account's phone, contact's phone) of conversations that raise: in a document of many, all are lost."""

    failing_inboxes: set[str] = field(default_factory=set)
    """Accounts' phones whose inboxes raise: null at the root, beside an error."""

    patches: list[Patch] = field(default_factory=list)
    """Fields with raw values: unknown statuses, garbage times, NUL, lone surrogates, a megabyte, missing fields…

    `Faults.patch` adds one; oddities.py has values worth trying.
    """

    extra_fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Members that nobody asked for, by type: JSON may hold more than the document selected."""

    integer_ids: bool = False
    """Numeric ids come as JSON numbers, as in the examples of Volt's text; 7 and "7" are one and the same contact."""

    nested_media: bool = False
    """`media` comes one level deeper, [["https://…"]], as in the examples of Volt's text."""

    coarse_times: timedelta | None = None
    """sentAt and lastMessageTime are cut to multiples of this: items tie everywhere, also across the edges of pages."""

    revoked: Literal["", "401", "unauthenticated", "empty", "null"] = ""
    """The token has been revoked, and nobody knows what Volt answers then.

    "401" is that status; "unauthenticated" the GraphQL error with status 200. The other two look like mass deletion:
    "null" answers null at every root (an error where the contract forbids it); "empty" likewise, but inboxes and
    conversations exist, with no items and a total of 0. Mutations have no effect in any of them.
    """

    def patch(self, type_name: str, name: str, value: Any, of: str | Callable[[Any], bool] = ANY) -> Patch:
        """Add to `patches`; take it out again with `patches.remove`. See `Patch`."""
        made = Patch(type_name, name, value, of)
        self.patches = [*self.patches, made]
        return made

    def fails(self, value: Any) -> bool:
        """Whether the resolvers of this object raise."""
        if isinstance(value, ContactList):
            return value.name in self.failing_lists
        if isinstance(value, Message):
            return value.id in self.failing_messages
        if isinstance(value, Contact):
            return value.id in self.failing_contacts
        return isinstance(value, Wave) and value.id in self.failing_waves


def identity(source: Any) -> str:
    """What stands for an object in `null_fields` and `Patch.of`.

    Its id; an inbox item has its contact's, an inbox its account's, a custom field its key; all others (and the
    roots Query and Mutation) have "".
    """
    account = getattr(source, "account", None)
    for candidate in (getattr(source, "id", None), getattr(source, "key", None), getattr(account, "id", None)):
        if candidate is not None:
            return str(candidate)
    return ""
