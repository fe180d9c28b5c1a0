"""Exports to push, pushes of them to a sandbox, and what is on record afterwards."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.pacing import Clock
from volt_pipeline.push import plan, push
from volt_pipeline.report import PushReport
from volt_pipeline.sandbox.server import Sandbox
from volt_pipeline_tests.warehouse.loading import ask

Row = tuple[Any, ...]
ELSEWHERE = "+15555559999"  # the phone of an account that no world has
TABLES = {
    "contacts": "account_phone text, phone_number text, name text, custom_fields jsonb, blocked boolean",
    "lists": "account_phone text, list_name text, source_list_name text, name_search_term text, rules jsonb",
}


def publish(url: str, export: str, *rows: Row) -> None:
    """Make the export hold these rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS volt_exports")
        connection.execute(f"DROP TABLE IF EXISTS volt_exports.export_{export}".encode())
        connection.execute(f"CREATE TABLE volt_exports.export_{export} ({TABLES[export]})".encode())
        for row in rows:
            values = [json.dumps(value) if isinstance(value, dict | list) else value for value in row]
            connection.execute(f"INSERT INTO volt_exports.export_{export} VALUES (%s, %s, %s, %s, %s)".encode(), values)


async def pushed(
    sandbox: Sandbox, url: str, export: str = "contacts", concurrency: int = 16, **options: Any
) -> PushReport:
    """One push for all accounts; afterwards `sandbox.requests` holds just what it asked."""
    sandbox.requests.clear()
    phones = [account.primary_phone for account in sandbox.world.accounts]
    async with VoltClient(
        sandbox.url, sandbox.token, concurrency=concurrency, clock=Clock(random=lambda: 0.0)
    ) as volt:  # never waits before it tries again
        return await push(volt, url, phones, export, **{"run_id": "run-1", **options})


def recorded(url: str, columns: str = "row_key, action, outcome") -> list[Row]:
    return ask(url, f"SELECT {columns} FROM volt_ops.pushes ORDER BY id")


def planned(sandbox: Sandbox, url: str, export: str = "contacts", run_id: str = "run-1") -> PushReport:
    """A plan, kept; afterwards `sandbox.requests` holds just what it asked."""
    sandbox.requests.clear()
    return plan(url, [account.primary_phone for account in sandbox.world.accounts], export, run_id=run_id)
