"""What happens around a build of the marts: no erasure meanwhile, and afterwards everyone sees what they may.

A build reads what is held at its beginning and writes it at its end, so an erasure in between would be undone. What
comes from elsewhere (the CRM's tables) may bring people back who were forgotten: their rows go when the build is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from volt_pipeline.warehouse.errors import WarehouseError
from volt_pipeline.warehouse.postgres import conninfo, renew_access
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.traces import built, phone_columns
from volt_pipeline.warehouse.withholding import Forgotten, forgotten_now

LOCK = 0x766F6C75  # shared by builds; an erasure takes it alone


@contextmanager
def building(url: str) -> Iterator[None]:
    """While dbt builds; afterwards, however it went, forgotten people's rows are gone and access is as it should be."""
    with psycopg.connect(conninfo(url), autocommit=True, options="-c TimeZone=UTC") as connection:
        connection.execute("SELECT pg_advisory_lock_shared(%s)", [LOCK])
        try:
            yield
        finally:
            renew_access(url)  # a mart that is new, or was edited, has no masked view yet
            clear(connection)


def clear(connection: psycopg.Connection[Any]) -> int:
    """Delete what a build brought back of people who were forgotten; gives the rows. Raises WarehouseError."""
    forgotten = forgotten_now(connection)
    if not forgotten:
        return 0
    try:
        tables = connection.execute(query("erasable_tables"), {"kinds": ["r", "p"]}).fetchall()
        return sum(
            _clear_column(connection, sql.Identifier(schema, table), sql.Identifier(column), forgotten)
            for schema, table, names, kinds in tables
            if built(schema)
            for column in phone_columns([name for name, kind in zip(names, kinds, strict=True) if kind[0] == "S"])
        )
    except psycopg.Error as error:
        raise WarehouseError(
            "Rows of people who were forgotten, which the CRM brought back, could not be removed from what dbt built "
            f"(SQLSTATE {error.sqlstate})."
        ) from None


def _clear_column(
    connection: psycopg.Connection[Any], table: sql.Identifier, column: sql.Identifier, forgotten: Forgotten
) -> int:
    found = connection.execute(sql.SQL("SELECT DISTINCT {} FROM {}").format(column, table))
    theirs = [phone for (phone,) in found if phone in forgotten]
    if not theirs:
        return 0
    return connection.execute(sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(table, column), [theirs]).rowcount
