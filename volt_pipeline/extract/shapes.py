"""The shape of a conversation's page: what an answer is decoded into when it is just as the contract says.

Its messages are then objects that hold the fields we asked for and nothing else, in half the time and half the memory
of dictionaries; a first sync is mostly that. An answer that does not fit (an ID as a number, a part that is missing,
an error beside the data) comes as plain objects, as all others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from msgspec import Struct, defstruct, to_builtins

from volt_pipeline.catalog import MESSAGES, Kind, Stream

# Times stay text: what is no RFC 3339 time is judged elsewhere, and kept as Volt wrote it.
_TYPES: dict[Kind, Any] = {
    Kind.TEXT: str | None,
    Kind.TIMESTAMP: str | None,
    Kind.INTEGER: int | None,
    Kind.BOOLEAN: bool | None,
    Kind.JSON: list[str] | None,  # of a message its media alone: "array of strings" (API text: Message)
}


def _shape(stream: Stream) -> type[Struct]:
    """An object with the fields that Volt fills; none of it can be part of a cycle, so the collector need not look."""
    fields: dict[str, Any] = {}
    below: dict[str, list[tuple[str, Any]]] = {}
    for column in stream.read:
        name, _, part = column.path.partition(".")
        if part:
            below.setdefault(name, []).append((part, _TYPES[column.kind]))
            fields[name] = None
        else:
            fields[name] = _TYPES[column.kind]
    for name, parts in below.items():
        fields[name] = defstruct(name, parts, gc=False, forbid_unknown_fields=True) | None
    return defstruct(stream.type_name, list(fields.items()), gc=False, forbid_unknown_fields=True)


if TYPE_CHECKING:
    Message = Struct
else:
    Message = _shape(MESSAGES)


class PageInfo(Struct, gc=False, forbid_unknown_fields=True):
    totalItems: int  # noqa: N815  # as Volt spells it
    hasNextPage: bool  # noqa: N815
    nextPage: str | None = None  # noqa: N815


class Conversation(Struct, gc=False, forbid_unknown_fields=True):
    """A page of `conversation` (API text: Queries)."""

    messages: list[Message]
    pageInfo: PageInfo  # noqa: N815


def getter(items: Sequence[Any]) -> type[attrgetter[Any]] | type[itemgetter[Any]]:
    """What reads the fields of such items, and of what is below them."""
    return attrgetter if isinstance(items[0], Struct) else itemgetter


def plain(items: Sequence[Any]) -> Sequence[Any]:
    """The items as plain objects, as Volt gave them."""
    return [to_builtins(item) if isinstance(item, Struct) else item for item in items]
