"""Pages that come just as the contract says, which nearly all do: column by column, many rows at once.

`rows.row` makes a row of whatever Volt gives, value by value. Most of a first sync would go into that. Here a page is
taken apart into columns, and each is checked and converted as a whole; at the first thing that is in the least unusual
the page is left to `rows.row`, which knows what to do. Where a page is taken here, the rows are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import repeat
from operator import attrgetter, is_
from typing import Any

from volt_pipeline.batch import Row
from volt_pipeline.catalog import Kind, Stream
from volt_pipeline.extract.rows import RowError, are_moments, json_text, moment, storable
from volt_pipeline.extract.shapes import getter

Derived = Mapping[str, Callable[[Sequence[Any]], Sequence[Any]]]  # items → a column

_NONE = type(None)
_ZONE = attrgetter("tzinfo")


class _Unusual(Exception):
    """Something that `rows.row` has to look at."""


def ordinary_rows(
    stream: Stream,
    items: Sequence[Any],
    asked_at: datetime,
    ours: Mapping[str, Any],
    derived: Derived,
) -> list[Row] | None:
    """The rows of a page, as `row` would make them; None where it holds anything unusual.

    The items are plain objects or all in one shape. `ours` is what `row` takes; `derived` makes the columns of ours
    that differ from item to item.
    """
    if not items:
        return []
    try:
        taken = zip(*map(getter(items)(*_fields(stream)), items), strict=True)
        columns = list(_columns(stream, taken, items, ours, derived))
    except (_Unusual, RowError, KeyError, TypeError, ValueError, OverflowError):
        return None
    return list(zip(*columns, repeat(asked_at, len(items)), strict=True))


@cache
def _fields(stream: Stream) -> tuple[str, ...]:
    return tuple(column.path.partition(".")[0] for column in stream.read)


def _columns(
    stream: Stream,
    taken: Iterator[Sequence[Any]],
    items: Sequence[Any],
    ours: Mapping[str, Any],
    derived: Derived,
) -> Iterator[Sequence[Any]]:
    for column in stream.columns:
        values: Sequence[Any]
        if not column.path:
            made = derived.get(column.name)
            values = made(items) if made else [ours.get(column.name)] * len(items)
        else:
            values = next(taken)
            if below := column.path.partition(".")[2]:
                get = getter(items)(below)
                if None in values:
                    values = [value if value is None else get(value) for value in values]
                else:
                    values = list(map(get, values))
            values = _CONVERT[column.kind](values)
            if column.name in ours:
                values = [ours[column.name] if value is None else value for value in values]
        if column.name in stream.key and not all(values):
            raise _Unusual
        yield values


def _texts(values: Sequence[Any]) -> Sequence[Any]:
    try:
        text = "".join(values)
    except TypeError:  # some are null, or no text
        _types(values, str)
        text = "".join(filter(None, values))
    if not storable(text):
        raise _Unusual
    return values


def _flags(values: Sequence[Any]) -> Sequence[Any]:
    _types(values, bool)
    return values


def _counts(values: Sequence[Any]) -> Sequence[Any]:
    _types(values, int)
    if not all(value is None or abs(value) < 2**63 for value in values):
        raise _Unusual
    return values


def _times(values: Sequence[Any]) -> Sequence[Any]:
    if not (_types(values, str) and are_moments(values)):
        return [value if value is None else moment(value) for value in values]
    times = list(map(datetime.fromisoformat, values))
    if not all(map(is_, map(_ZONE, times), repeat(UTC))):
        raise _Unusual
    return times


def _json(values: Sequence[Any]) -> Sequence[Any]:
    return [value if value is None else json_text(value) for value in values]


_CONVERT: dict[Kind, Callable[[Sequence[Any]], Sequence[Any]]] = {
    Kind.TEXT: _texts,
    Kind.INTEGER: _counts,
    Kind.BOOLEAN: _flags,
    Kind.TIMESTAMP: _times,
    Kind.JSON: _json,
}


def _types(values: Sequence[Any], usual: type[Any]) -> bool:
    """Whether all are of the usual type; some may be null."""
    types = set(map(type, values))
    if not types <= {usual, _NONE}:
        raise _Unusual
    return _NONE not in types
