"""The warehouse's side of a push: the exports to read, and the ledger of what became of each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy.exc import ProgrammingError

from volt_pipeline.warehouse.errors import WarehouseUnfit
from volt_pipeline.warehouse.postgres import engine
from volt_pipeline.warehouse.queries import query


def read_export(url: str, export: str) -> pd.DataFrame:
    """`volt_exports.export_<export>` as published last, in key order. Raises WarehouseUnfit when it was never built."""
    db = engine(url)
    try:
        return pd.read_sql_query(f"SELECT * FROM volt_exports.export_{export} ORDER BY 1, 2", db)
    except ProgrammingError:
        raise WarehouseUnfit(
            f"There is no table volt_exports.export_{export} yet: run `volt-pipeline sync` once, which builds it."
        ) from None
    finally:
        db.dispose()


def record(connection: psycopg.Connection[Any], run_id: str, attempt: Mapping[str, Any]) -> None:
    """Write an attempt to `volt_ops.pushes` and commit: it is on record before the next one is made."""
    jsons = {name: Jsonb(attempt[name]) for name in ("before", "sent", "after")}
    connection.execute(query("record_push"), {**attempt, **jsons, "run_id": run_id})
    if attempt["export"] == "lists" and attempt["outcome"] == "sent":
        connection.execute(query("discover_pushed_list"), attempt)
