"""The SQL that writes rows, made from the catalogue: staging table, COPY, what is new, then history and upsert.

An unchanged row causes no write, and a version that was asked of Volt earlier never replaces one asked later.
"""

from __future__ import annotations

from functools import cache

from volt_pipeline import catalog
from volt_pipeline.catalog import History, Kind, Stream

# What is also asked by itself has a stamp of its own: an unchanged answer is written nowhere else.
_READINGS = {"contacts": "contact", "messages": "message"}
# Somebody who was still at work when this statement began has set the row's end (a row's xmax has 32 of the 64 bits).
_BEING_WRITTEN = (
    "(h.xmax <> 0 AND h.xmax::text::bigint >= mod(pg_snapshot_xmin(pg_current_snapshot())::text::bigint, 4294967296))"
)
# jsonb travels as text: its binary form would have to be built value by value in Python.
_WIRE = {kind: kind.value for kind in Kind} | {Kind.JSON: "text"}


def _names(stream: Stream, prefix: str = "") -> str:
    return ", ".join(f"{prefix}{name}" for name in stream.column_names)


def _staged(stream: Stream, names: tuple[str, ...], alias: str = "s") -> str:
    kinds = {column.name: column.kind for column in stream.columns}
    return ", ".join(f"{alias}.{name}" + ("::jsonb" if kinds[name] is Kind.JSON else "") for name in names)


def _is_newest(stream: Stream, held: str, asked: str) -> str:
    """The condition that nothing later than the staged version was read of this row."""
    condition = f"{held}.loaded_at <= {asked}.loaded_at"
    if kind := _READINGS.get(stream.name):
        condition += (
            f" AND NOT EXISTS (SELECT FROM volt_ops.readings AS r "
            f"WHERE r.kind = '{kind}' AND r.key = {held}.id AND r.read_at > {asked}.loaded_at)"
        )
    return condition


def stage_name(stream: Stream) -> str:
    return f"stage_{stream.name}"


@cache
def create_stage(stream: Stream) -> str:
    columns = ", ".join(f"{column.name} {_WIRE[column.kind]}" for column in stream.columns)
    return (
        f"CREATE TEMP TABLE IF NOT EXISTS {stage_name(stream)} ({columns}, loaded_at timestamptz) ON COMMIT DELETE ROWS"
    )


@cache
def copy_stage(stream: Stream) -> str:
    return f"COPY {stage_name(stream)} ({_names(stream)}, loaded_at) FROM STDIN (FORMAT BINARY)"


@cache
def empty_stage(stream: Stream) -> str:
    return f"TRUNCATE {stage_name(stream)}"


@cache
def wire_types(stream: Stream) -> tuple[str, ...]:
    return (*(_WIRE[column.kind] for column in stream.columns), "timestamptz")


@cache
def insert_new(stream: Stream) -> str:
    """Staging → table and history, only the rows whose key is not held; gives how many.

    Most of what is written is new. Each row's key is looked up once here, in the act of inserting it.
    """
    histories = [history for history in catalog.HISTORIES if history.of == stream.name]
    told = dict.fromkeys(name for h in histories for name in (*stream.key, *h.tracked, h.unless) if name)
    fresh = f"{_insert(stream)} ON CONFLICT ({', '.join(stream.key)}) DO NOTHING "
    fresh += f"RETURNING {', '.join((*told, 'loaded_at'))}"
    return f"WITH fresh AS ({fresh}){''.join(map(_remember, histories))} SELECT count(*) FROM fresh"


def _remember(history: History) -> str:
    """The first version of what is new."""
    (key,) = catalog.stream_of(history).key
    return (
        f", {history.name} AS (INSERT INTO volt.{history.name} "
        f"({history.key}, {', '.join(history.tracked)}, observed_at, run_id) "
        f"SELECT {key}, {', '.join(history.tracked)}, loaded_at, %(run_id)s FROM fresh "
        f"{f'WHERE NOT {history.unless} ' if history.unless else ''}ORDER BY {key} ON CONFLICT DO NOTHING)"
    )


def _insert(stream: Stream, only: str = "") -> str:
    """All writers of a table lock its rows in one order, so that none waits for another in a circle."""
    kinds = {column.name: column.kind for column in stream.columns}
    order = ", ".join(f"s.{name}" + (' COLLATE "C"' if kinds[name] is Kind.TEXT else "") for name in stream.key)
    return (
        f"INSERT INTO volt.{stream.name} AS t ({_names(stream)}, first_seen_at, loaded_at, run_id) "
        f"SELECT {_staged(stream, stream.column_names)}, s.loaded_at, s.loaded_at, %(run_id)s "
        f"FROM {stage_name(stream)} AS s {only} ORDER BY {order}"
    )


@cache
def write_history(history: History) -> str:
    """Append the versions that differ from what is held; runs before `update_changed`, which forgets the old values."""
    stream = catalog.stream_of(history)
    (key,) = stream.key
    tracked = ", ".join(f"t.{name}" for name in history.tracked)
    return (
        f"INSERT INTO volt.{history.name} ({history.key}, {', '.join(history.tracked)}, observed_at, run_id) "
        f"SELECT s.{key}, {_staged(stream, history.tracked)}, s.loaded_at, %(run_id)s "
        f"FROM {stage_name(stream)} AS s JOIN volt.{stream.name} AS t ON t.{key} = s.{key} "
        f"WHERE {_is_newest(stream, 't', 's')} "
        f"AND ({tracked}) IS DISTINCT FROM ({_staged(stream, history.tracked)}) "
        f"ORDER BY s.{key} ON CONFLICT DO NOTHING"
    )


@cache
def insert_missing(stream: Stream) -> str:
    """Staging → table, only the rows whose key is not held, without a history."""
    return f"{_insert(stream)} ON CONFLICT DO NOTHING"


@cache
def update_changed(stream: Stream) -> str:
    """Staging → table, of rows whose key is held; gives how many were written.

    What is held as it is, or newer, is left out before: a conflict locks the row, and so writes it, even where nothing
    is to be changed. What another transaction is about to change goes the way of a conflict all the same: it is waited
    for, and judged then.
    """
    values = [name for name in stream.column_names if name not in stream.key]
    asked = _staged(stream, tuple(values))
    assigned = [*values, *(["deleted_at"] if stream.entity else []), "loaded_at", "run_id"]
    assignments = ", ".join(f"{name} = excluded.{name}" for name in assigned)
    conflicting = _differs(stream, "t", ", ".join(f"excluded.{name}" for name in values))
    keys = " AND ".join(f"h.{name} = s.{name}" for name in stream.key)
    changed = (
        f"JOIN volt.{stream.name} AS h ON {keys} "
        f"WHERE {_BEING_WRITTEN} OR ({_is_newest(stream, 'h', 's')} AND {_differs(stream, 'h', asked)})"
    )
    return (
        f"WITH written AS ({_insert(stream, changed)} "
        f"ON CONFLICT ({', '.join(stream.key)}) DO UPDATE SET {assignments} "
        f"WHERE {_is_newest(stream, 't', 'excluded')} AND {conflicting} RETURNING 1) "
        "SELECT count(*) FROM written"
    )


def _differs(stream: Stream, held: str, asked: str) -> str:
    """The condition that the held row says something else than these values, or that its thing is deleted."""
    values = ", ".join(f"{held}.{name}" for name in stream.column_names if name not in stream.key)
    condition = f"({values}) IS DISTINCT FROM ({asked})" if values else "false"
    return f"({condition} OR {held}.deleted_at IS NOT NULL)" if stream.entity else condition
