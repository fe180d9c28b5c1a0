"""The raw tables of schema `volt`, as SQLAlchemy Core, derived from the catalogue.

The catalogue owns these tables: a missing table or column is created on the way in (`postgres.prepare`). Every
other change of the database, and all of schema `volt_ops`, belongs to alembic (`migrations/`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, MetaData, Table, text
from sqlalchemy.dialects.postgresql import BIGINT, BOOLEAN, JSONB, TEXT, TIMESTAMP
from sqlalchemy.types import TypeEngine

from volt_pipeline import catalog
from volt_pipeline.catalog import History, Kind, Stream

SCHEMA = "volt"

_TYPES: dict[Kind, TypeEngine[Any]] = {
    Kind.TEXT: TEXT(),
    Kind.INTEGER: BIGINT(),
    Kind.BOOLEAN: BOOLEAN(),
    Kind.TIMESTAMP: TIMESTAMP(timezone=True),
    Kind.JSON: JSONB(),
}

# How tables are kept, where Postgres' own way does not suit them (docs/warehouse.md has the measurements).
_MOVING = {"fillfactor": "90"}  # rows change in place, none of their indexes with them, if their page has room
_GROWING = {  # a tenth or a fifth of all that was ever texted is too long to wait
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
}
STORAGE: dict[str, dict[str, str]] = {
    "inbox_items": _MOVING,
    "conversations": _MOVING,
    "messages": _GROWING,
    "message_statuses": _GROWING,
}


def columns_of(stream: Stream) -> tuple[catalog.Column, ...]:
    """All columns of a stream's table: what Volt fills, what we derive, and the stamps."""
    deleted = (catalog.DELETED_AT,) if stream.entity else ()
    return (*stream.columns, *catalog.STAMPS, *deleted)


def history_columns(history: History) -> tuple[catalog.Column, ...]:
    """All columns of a history's table; the tracked ones are the stream's own."""
    stream = catalog.stream_of(history)
    tracked = {column.name: column for column in stream.columns}
    return (
        catalog.Column(history.key, Kind.TEXT, f"The row of {history.of}."),
        *(tracked[name] for name in history.tracked),
        catalog.Column("observed_at", Kind.TIMESTAMP, "When these values were asked of Volt."),
        catalog.Column("run_id", Kind.TEXT, "The run that saw them (volt_ops.runs)."),
    )


def _table(
    metadata: MetaData, name: str, comment: str, columns: tuple[catalog.Column, ...], key: tuple[str, ...]
) -> Table:
    return Table(
        name,
        metadata,
        *(
            Column(
                column.name,
                _TYPES[column.kind],
                primary_key=column.name in key,
                nullable=column.name not in key,
                comment=column.comment,
            )
            for column in columns
        ),
        comment=comment,
        schema=SCHEMA,
        postgresql_with=STORAGE.get(name, {}),
    )


def _build() -> MetaData:
    metadata = MetaData()
    for stream in catalog.STREAMS:
        table = _table(metadata, stream.name, stream.comment, columns_of(stream), stream.key)
        for index in stream.indexes:
            where = text(index.where) if index.where else None
            Index(index.name, *(table.c[name] for name in index.columns), postgresql_where=where)
    for history in catalog.HISTORIES:
        _table(metadata, history.name, history.comment, history_columns(history), (history.key, "observed_at"))
    return metadata


METADATA = _build()
