"""What those see of the marts who may not see people: for each column what its masked view shows, decided by one list.

Fail closed: a column of text, JSON or any other type that can hold words is empty unless it is named in `SHOWN`, so
that a new column shows nothing until somebody decides. Numbers, flags and times are shown, unless they sound like a
phone. Ids that are made of phones become keyed pseudonyms: they still join, and cannot be undone by trying all phones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_PLAIN_CATEGORIES = frozenset("BDNT")  # booleans, dates and times, numbers, intervals

# Columns of text that show no person: by name, or as table.column.
SHOWN = frozenset(
    (
        "account_id",
        "account_name",
        "account_phone",
        "organization_id",
        "primary_phone",
        "mapped_number",
        "time_zone",
        "accounts.location",
        "message_id",
        "legacy_id",
        "contact_id",
        "wave_id",
        "list_id",
        "list_name",
        "reply_id",
        "run_id",
        "plan_id",
        "direction",
        "direction_evidence",
        "last_direction",
        "sender",
        "started_by",
        "effect",
        "keyword",
        "consent",
        "status",
        "encoding",
        "failure_reason",
        "waves.name",
        "waves.type",
        "waves.wave_status",
        "type",
        "export",
        "action",
        "outcome",
    )
)
# Text of which the length is shown in its place.
MEASURED = frozenset({"body", "last_message"})


class Column(NamedTuple):
    """A column of a mart: its type as Postgres writes it, and the type's category (pg_type.typcategory)."""

    name: str
    type: str
    category: str


def is_phone(name: str) -> bool:
    """Whether a column of this name holds a contact's phone, as far as it is not in `SHOWN`."""
    return "phone" in name or name.endswith("_number") or name in ("number", "recipient")


def masked(table: str, column: Column) -> list[str]:
    """What the masked view selects for a column."""
    name, quoted = column.name, _quoted(column.name)
    if name in SHOWN or f"{table}.{name}" in SHOWN:
        return [quoted]
    if is_phone(name) and column.category == "S":
        shown = f"left({quoted}, 2) || '•••••' || right({quoted}, 2)"
        key = _pseudonym(rf"regexp_replace({quoted}, '\D', '', 'g')")
        return [f"{shown} AS {quoted}", f"{key} AS {_quoted(name + '_key')}"]
    if column.category in _PLAIN_CATEGORIES and not is_phone(name):
        return [quoted]
    if column.category == "S" and name.endswith(("_id", "_key")):
        return [f"{_pseudonym(quoted)} AS {quoted}"]
    empty = f"NULL::{column.type} AS {quoted}"
    if column.category == "S" and name in MEASURED:
        return [empty, f"char_length({quoted}) AS {_quoted(name + '_length')}"]
    return [empty]


def _pseudonym(expression: str) -> str:
    """The same for the same value, under a key that the view's reader cannot read; a nested hash, as HMAC is."""
    value = f"convert_to({expression}, 'UTF8')"
    return f"left(encode(sha256(pseudonyms.key || sha256(pseudonyms.key || {value})), 'hex'), 32)"


def definition(marts: str, table: str, columns: Sequence[Column]) -> str:
    """The select of a mart's masked view."""
    taken = {column.name for column in columns}
    parts = [
        part
        for column in columns
        for part in masked(table, column)
        if part.endswith(_quoted(column.name)) or part.rpartition(" AS ")[2].strip('"') not in taken
    ]
    return (
        f"SELECT {', '.join(parts)} FROM {_quoted(marts)}.{_quoted(table)} AS mart "
        "CROSS JOIN (SELECT key FROM volt_ops.keys WHERE purpose = 'pseudonyms' OFFSET 0) AS pseudonyms"
    )


def digest(definition: str) -> str:
    """A view's mark: one that bears it need not be made again."""
    return hashlib.blake2b(definition.encode(), digest_size=8).hexdigest()


def columns_of(names: Iterable[str], types: Iterable[str], categories: Iterable[str]) -> list[Column]:
    return [Column(*each) for each in zip(names, types, categories, strict=True)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
