"""Where a person leaves traces in the warehouse, as data: which rows `erasure.py` deletes or blanks.

Tables of schemas `volt` and `volt_ops` are declared; a test fails when a table that may hold a phone is not among
them. What dbt builds is recognised by its columns' names. Statements may name digits (the phone's), contacts, messages
and conversations (ids), and blank (what stands in the place of a key that is kept).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from volt_pipeline.errors import ExplainedError

_ID_COLUMNS = {"message_id": "messages", "reply_id": "messages", "conversation_id": "conversations"}


class Trace(NamedTuple):
    """Rows of a table that are a person's: deleted, or where `blank` says how, kept without the person.

    `guarded`: triggers of the table's own forbid that; they are switched off for the moment.
    """

    table: str
    where: str
    blank: str = ""
    guarded: bool = False


class UnerasableColumn(ExplainedError):
    """A table of the marts cannot be searched."""


def is_theirs(expression: str) -> str:
    """The condition that a text is the person's phone, however it is written."""
    return rf"regexp_replace({expression}, '\D', '', 'g') = %(digits)s::text"


def _any(*conditions: str) -> str:
    return " OR ".join(conditions)


_SENT_TO = _any(
    is_theirs("to_phone"),
    r"%(digits)s::text IN (SELECT regexp_replace(n, '\D', '', 'g') FROM unnest(contact_numbers) AS n)",
)

_TO, _FROM = is_theirs("raw ->> 'toNumber'"), is_theirs("raw ->> 'fromNumber'")

TRACES: tuple[Trace, ...] = (
    Trace("volt.message_statuses", "message_id = ANY(%(messages)s)"),
    Trace("volt.messages", "id = ANY(%(messages)s)"),
    # What stands in another's conversation stays, without the number.
    Trace("volt.messages", is_theirs("to_number"), blank="to_number = NULL"),
    Trace("volt.messages", is_theirs("from_number"), blank="from_number = NULL"),
    Trace("volt.contact_changes", _any("contact_id = ANY(%(contacts)s)", is_theirs("phone_number"))),
    Trace("volt.contact_lists", "contact_id = ANY(%(contacts)s)"),
    Trace("volt.contacts", "id = ANY(%(contacts)s)"),
    Trace("volt.inbox_items", is_theirs("contact_phone")),
    Trace("volt.conversations", is_theirs("contact_phone")),
    Trace("volt_ops.walks", is_theirs("contact_phone")),
    Trace(
        "volt_ops.readings",
        _any(
            "kind = 'contact' AND key = ANY(%(contacts)s)",
            "kind = 'message' AND key = ANY(%(messages)s)",
        ),
    ),
    Trace(
        "volt_ops.rejects",
        _any(
            is_theirs("contact_phone"),
            is_theirs("split_part(key, '|', 2)"),
            is_theirs("raw ->> 'phoneNumber'"),
            is_theirs("raw #>> '{contact,phoneNumber}'"),
            f"contact_phone = '' AND {_TO}",
            f"contact_phone = '' AND {_FROM}",
            "stream = 'contacts' AND key = ANY(%(contacts)s)",
            "stream = 'messages' AND key = ANY(%(messages)s)",
        ),
    ),
    Trace("volt_ops.unblock_approvals", is_theirs("phone_number")),
    # A push's record stays whole: each planned row has an outcome.
    Trace(
        "volt_ops.pushes",
        f"export = 'contacts' AND {is_theirs('row_key')}",
        blank="row_key = %(blank)s, row_digest = NULL, before = NULL, sent = NULL, after = NULL",
    ),
    Trace(
        "volt_ops.webhook_events",
        _any(
            is_theirs("contact_phone"),
            "message_id = ANY(%(messages)s)",
            "position(convert_to(%(digits)s::text, 'UTF8') IN body) > 0",
        ),
    ),
    Trace("volt_ops.suppressions", is_theirs("phone_number")),
    Trace(
        "volt_ops.outbox_events",
        f"intent_id IN (SELECT intent_id FROM volt_ops.outbox WHERE {_SENT_TO})",
        guarded=True,
    ),
    Trace("volt_ops.outbox", _SENT_TO, guarded=True),
)

# Tables of these schemas that hold no contact's phone, though a column sounds like it; the test reads this.
HARMLESS = {
    "volt.accounts": "our own phones",
    "volt.account_numbers": "our own phones, which are never forgotten",
    "volt.waves": "what was sent to many, placeholders unfilled",
    "volt_ops.leases": "our own phones",
    "volt_ops.push_plans": "blanked by a statement of its own (blank_plans)",
}


def built(schema: str) -> bool:
    """Whether dbt builds what is in this schema of ours."""
    return schema not in ("volt", "volt_ops", "volt_masked")


def phone_columns(columns: Iterable[str]) -> list[str]:
    """Those of a built table's text columns that hold phones, by their names."""
    return [name for name in columns if "phone" in name or name.endswith("_number") or name == "row_key"]


def mart_trace(schema: str, table: str, columns: Sequence[str]) -> Trace | None:
    """The person's rows of a table that dbt built, by the names of its text columns; None where it has none."""
    found = [is_theirs(f'"{name}"') for name in phone_columns(columns)]
    found += [f'"{name}" = ANY(%({_ID_COLUMNS[name]})s)' for name in columns if name in _ID_COLUMNS]
    if not found and "contact_id" in columns:  # one contact may have had several numbers, and others' rows stay
        found = ['"contact_id" = ANY(%(contacts)s)']
    for name in (schema, table, *columns):
        if '"' in name or "%" in name:
            raise UnerasableColumn(
                f"The name {name!r} in schema {schema} holds a quote or %: rename it, then try again."
            )
    return Trace(f'"{schema}"."{table}"', _any(*found)) if found else None


def mentions(columns: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A condition for each column (its name, its type's category and name) that may hold the digits somewhere."""
    found = {}
    for name, kind in columns:
        quoted = '"' + name.replace('"', '""').replace("%", "%%") + '"'
        if kind == "Ubytea":
            found[name] = f"position(convert_to(%(digits)s::text, 'UTF8') IN {quoted}) > 0"
        elif kind[0] in "SA" or kind in ("Ujson", "Ujsonb", "Uxml"):
            found[name] = f"strpos({quoted}::text, %(digits)s::text) > 0"
    return found
