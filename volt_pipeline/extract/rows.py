"""Volt's JSON objects → rows in the catalogue's column order; what cannot be stored becomes a `RowError`.

Tolerant of what does no harm (ids as integers, missing and extra fields, unknown words), strict where a guess would
lie (times, numbers, flags).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson

from volt_pipeline.catalog import FINAL_STATUSES, Kind, Stream

_MOMENT = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)?"
_RFC3339 = re.compile(_MOMENT, re.ASCII)
_MOMENTS = re.compile(rf"(?:{_MOMENT}\n)*", re.ASCII)
# Postgres' text holds neither NUL nor lone surrogates. They are written as \u0000 and \udXXX, and a text that already
# spells such a thing gets its backslashes doubled, so that `unescape` gives back exactly what Volt said.
_UNSTORABLE = re.compile(r"(\\*)([\x00\ud800-\udfff]|u(?:0000|d[89a-f][0-9a-f]{2}))")
_SUSPECT = re.compile(r"[\x00\ud800-\udfff]|\\u(?:0000|d[89a-f])")
_ESCAPED = re.compile(r"(\\+)u(0000|d[89a-f][0-9a-f]{2})")


class RowError(Exception):
    """A row that cannot be stored: names the field, never its value. `field` is the one that a row could do without."""

    field = ""


def storable(text: str) -> bool:
    """Whether `escape` leaves the text as it is."""
    if text.isascii():  # nearly every text, told without a search
        return "\x00" not in text and "\\u" not in text
    return not _SUSPECT.search(text)


def escape(text: str) -> str:
    """Text as Postgres can hold it; `unescape` is its inverse."""
    if storable(text):
        return text

    def replace(match: re.Match[str]) -> str:
        slashes, what = match.groups()
        if len(what) > 1:
            return slashes * 2 + what
        return slashes * 2 + f"\\u{ord(what):04x}"

    return _UNSTORABLE.sub(replace, text)


def unescape(text: str) -> str:
    """What Volt said, from what `escape` made of it."""

    def replace(match: re.Match[str]) -> str:
        slashes, code = match.groups()
        kept = "\\" * (len(slashes) // 2)
        return kept + (chr(int(code, 16)) if len(slashes) % 2 else f"u{code}")

    return _ESCAPED.sub(replace, text)


def json_text(value: Any) -> str:
    """Any JSON value as text that jsonb takes: unstorable characters escaped, in keys too."""
    try:
        text = "[]" if value == [] else orjson.dumps(value).decode()
    except (TypeError, orjson.JSONEncodeError):  # lone surrogates, integers beyond 64 bits
        text = "\\u"
    return json.dumps(_escape_deep(value), ensure_ascii=False) if "\\u" in text else text


def _escape_deep(value: Any) -> Any:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {escape(key): _escape_deep(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escape_deep(item) for item in value]
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return escape(value)
    return str(value) if type(value) is int else json_text(value)


def _integer(value: Any) -> int:
    if type(value) is int:
        number = value
    elif isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
        number = int(value)
    else:
        raise RowError("is no whole number")
    if not -(2**63) <= number < 2**63:
        raise RowError("is too large a number")
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise RowError("is neither true nor false")


def are_moments(values: Sequence[str]) -> bool:
    """Whether all of them have the form of RFC 3339."""
    return _MOMENTS.fullmatch("\n".join((*values, ""))) is not None


def moment(value: Any) -> datetime | None:
    """RFC 3339, or without a zone, which is UTC; '' is null. Raises RowError for anything else."""
    if value == "":
        return None
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise RowError("is no RFC 3339 time")
    try:
        parsed = datetime.fromisoformat(value if value[-1] != "z" else value.upper())  # RFC 3339 allows t and z
        if parsed.tzinfo is UTC:
            return parsed
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowError("is no time that exists") from None


_CONVERT: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: moment,
    Kind.JSON: json_text,
}


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a row of a stream is made; worked out once, since it is followed for every row."""

    columns: tuple[tuple[str, str, str, Callable[[Any], Any]], ...]  # name, field, field below it or "", conversion
    keys: tuple[tuple[int, str, str], ...]  # position, name, path


@cache
def _plan(stream: Stream) -> _Plan:
    columns = []
    for column in stream.columns:
        field, _, below = column.path.partition(".")
        columns.append((column.name, field, below, _CONVERT[column.kind]))
    keys = [(at, stream.columns[at].name, stream.columns[at].path) for at in stream.key_positions]
    return _Plan(tuple(columns), tuple(keys))


def identity(value: Any) -> str | None:
    """An ID as text; None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return escape(str(value))


def _reached(source: Any, path: str) -> Any:
    for name in path.split("."):
        source = source.get(name) if isinstance(source, dict) else None
    return source


def lists_of(source: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """(id, name) of the lists that a contact or wave names; None where what it says is no such thing."""
    entries = source.get("lists")
    if not isinstance(entries, list):
        return None
    named = [
        (key, escape(str(entry.get("name") or "")))
        for entry in entries
        if isinstance(entry, dict) and (key := identity(entry.get("id")))
    ]
    return named if len(named) == len(entries) else None


def is_final(message: Any) -> bool:
    """Whether a message is in a status that never changes again."""
    status = message.get("status") if isinstance(message, dict) else None
    return isinstance(status, str) and status in FINAL_STATUSES


def row(stream: Stream, source: Any, asked_at: datetime, ours: Mapping[str, Any]) -> tuple[Any, ...]:
    """One row of `stream.columns` and, last, `asked_at`.

    `ours` gives the columns that Volt does not fill, and stands in where Volt says null.
    Raises RowError naming the field when a value cannot be stored or a part of the key is missing.
    """
    if not isinstance(source, dict):
        raise RowError("the row is no object")
    values: list[Any] = []
    plan = _plan(stream)
    field = ""
    try:
        for name, field, below, convert in plan.columns:
            value = source.get(field) if field else None
            if below and value is not None:
                value = value.get(below) if isinstance(value, dict) else None
            values.append(ours.get(name) if value is None else convert(value))
    except RowError as error:
        refused = RowError(f"{field} {error}")
        refused.field = field
        raise refused from None
    for position, name, path in plan.keys:
        if values[position] in (None, ""):
            raise RowError(f"{name} is missing")
        if path and identity(_reached(source, path)) is None and ours.get(name) is None:
            raise RowError(f"{name} is no ID")
    values.append(asked_at)
    return tuple(values)
