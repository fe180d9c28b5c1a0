"""The warehouse's side of a push: the exports to read, and the ledger of what became of each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import psycopg
from sqlalchemy.exc import OperationalError

from volt_pipeline.warehouse.errors import WarehouseError, WarehouseUnfit
from volt_pipeline.warehouse.postgres import engine, unreachable
from volt_pipeline.warehouse.queries import query


def read_export(url: str, export: str) -> pd.DataFrame:
    """`volt_exports.export_<export>` as published last, in key order. Raises WarehouseUnfit when it was never built."""
    db = engine(url)
    try:
        return pd.read_sql_query(f"SELECT * FROM volt_exports.export_{export} ORDER BY 1, 2", db)
    except OperationalError as error:
        raise unreachable(url, error.orig or error) from None
    except pd.errors.DatabaseError as error:
        state = getattr(getattr(error.__cause__, "orig", None), "sqlstate", None)
        if state == psycopg.errors.UndefinedTable.sqlstate:
            raise WarehouseUnfit(
                f"There is no table volt_exports.export_{export} yet: run `volt-pipeline sync` once, which builds it."
            ) from None
        raise WarehouseError(f"volt_exports.export_{export} cannot be read (SQLSTATE {state}).") from None
    finally:
        db.dispose()


def record(connection: psycopg.Connection[Any], run_id: str, attempt: Mapping[str, Any]) -> None:
    """Write an attempt to `volt_ops.pushes` and commit: it is on record before the next one is made.

    What Volt held, was sent and answered (`before`, `sent`, `after`) is JSON text that Postgres can hold.
    """
    connection.execute(query("record_push"), {**attempt, "run_id": run_id})
    if attempt["export"] == "lists" and attempt["outcome"] == "sent":
        connection.execute(query("discover_pushed_list"), attempt)
