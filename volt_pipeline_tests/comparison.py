"""A warehouse against the world it was read from, row for row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from volt_pipeline import catalog
from volt_pipeline.catalog import Kind, Stream
from volt_pipeline.extract.rows import unescape
from volt_pipeline.sandbox.world import World
from volt_pipeline.warehouse.postgres import conninfo

_STREAMS = (
    catalog.ORGANIZATIONS,
    catalog.ACCOUNTS,
    catalog.CONTACTS,
    catalog.LISTS,
    catalog.WAVES,
    catalog.MESSAGES,
    catalog.WEBHOOKS,
)


def differences(url: str, world: World) -> list[str]:
    """Where the warehouse is not the world; empty when it is, row for row."""
    shown, everything = world.snapshot(), world.snapshot(everything=True)
    with psycopg.connect(conninfo(url), options="-c TimeZone=UTC") as connection:
        found = [
            line
            for stream in _STREAMS
            for line in _compare(stream, _held(connection, stream), shown[stream.name], everything[stream.name])
        ]
        members = "SELECT contact_id, list_id FROM volt.contact_lists WHERE valid_to IS NULL"
        held_members = set(connection.execute(members).fetchall())
        inbox = (
            "SELECT i.account_id, i.contact_phone, i.last_message_time, i.last_message, i.is_unread "
            "FROM volt.inbox_items i "
            "LEFT JOIN volt.contacts c ON c.id = i.contact_id WHERE c.deleted_at IS NULL "
            "AND NOT EXISTS (SELECT FROM volt_ops.walks w WHERE w.stream = 'messages' AND w.account_id = i.account_id "
            "AND w.contact_phone = i.contact_phone AND w.total = 0 AND w.held = 0 AND w.completed_at > i.loaded_at)"
        )
        held_inbox = {(row[0], row[1]): row[2:] for row in connection.execute(inbox)}
        shown_inbox = {key: (_time(at), text, unread) for key, (at, text, unread) in shown["inbox"].items()}
        shown_members = shown["memberships"] | (held_members & everything["memberships"])
        found += _sets("contact_lists", held_members, shown_members)
        found += _sets("inbox_items", set(held_inbox.items()), set(shown_inbox.items()))
        return found + _histories(connection)


def _held(connection: psycopg.Connection[Any], stream: Stream) -> dict[str, dict[str, Any]]:
    names = ", ".join(stream.column_names)
    rows = connection.execute(f"SELECT {names} FROM volt.{stream.name} WHERE deleted_at IS NULL").fetchall()
    return {row[0]: dict(zip(stream.column_names, row, strict=True)) for row in rows}


Rows = dict[str, dict[str, Any]]


def _compare(stream: Stream, held: Rows, shown: Rows, everything: Rows) -> list[str]:
    """All that is shown must be held; what is held beyond it (a list that nothing names any more) must exist."""
    found = _sets(stream.name, set(held), set(shown) | (held.keys() & everything.keys()))
    kinds = {column.name: column.kind for column in stream.read}
    for key in held.keys() & everything.keys():
        for name, value in everything[key].items():
            if name in kinds:
                expected = _time(value) if kinds[name] is Kind.TIMESTAMP else value
                stored = held[key][name]
                if (unescape(stored) if isinstance(stored, str) else stored) != expected:
                    found.append(f"{stream.name} {key}.{name}: held {stored!r}, Volt says {expected!r}")
    return found


def _sets(table: str, held: set[Any], shown: set[Any]) -> list[str]:
    return [f"{table}: {len(held - shown)} too many {sorted(held - shown)[:3]}"] * bool(held - shown) + [
        f"{table}: {len(shown - held)} missing {sorted(shown - held)[:3]}"
    ] * bool(shown - held)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _histories(connection: psycopg.Connection[Any]) -> list[str]:
    """The last version in each history is the row as it stands, and no version repeats the one before it."""
    found = []
    for history in catalog.HISTORIES:
        stream = catalog.stream_of(history)
        tracked = ", ".join(f"h.{name}" for name in history.tracked)
        current = ", ".join(f"t.{name}" for name in history.tracked)
        (stale,) = connection.execute(
            f"SELECT count(*) FROM volt.{stream.name} t"
            f" JOIN (SELECT DISTINCT ON ({history.key}) * FROM volt.{history.name}"
            f" ORDER BY {history.key}, observed_at DESC) h ON h.{history.key} = t.id"
            f" WHERE ({tracked}) IS DISTINCT FROM ({current})"
        ).fetchone() or (0,)
        (repeated,) = connection.execute(
            f"SELECT count(*) FROM (SELECT to_jsonb(ROW({', '.join(history.tracked)})) = lag(to_jsonb(ROW("
            f"{', '.join(history.tracked)}))) OVER (PARTITION BY {history.key} ORDER BY observed_at) AS same"
            f" FROM volt.{history.name}) v WHERE same"
        ).fetchone() or (0,)
        if stale:
            found.append(f"{history.name}: the last version of {stale} rows is not the row")
        if repeated:
            found.append(f"{history.name}: {repeated} versions repeat the one before")
    return found
