"""The raw tables of schema `volt`, as SQLAlchemy Core, derived from the catalogue.

The catalogue owns these tables: a missing table or column is created on the way in (`postgres.prepare`). Every
other change of the database, and all of schema `volt_ops`, belongs to alembic (`migrations/`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, MetaData, Table
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
    )


def _build() -> MetaData:
    metadata = MetaData()
    for stream in catalog.STREAMS:
        table = _table(metadata, stream.name, stream.comment, columns_of(stream), stream.key)
        for columns in stream.index:
            Index(f"{stream.name}_{'_'.join(columns)}_idx", *(table.c[name] for name in columns))
    for history in catalog.HISTORIES:
        _table(metadata, history.name, history.comment, history_columns(history), (history.key, "observed_at"))
    return metadata


METADATA = _build()
