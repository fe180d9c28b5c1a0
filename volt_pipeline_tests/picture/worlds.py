"""Worlds to draw: the fixture world with names that are attacks, nothing at all, and one that is far too large."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import sqlalchemy as sa
from psycopg import sql

from volt_pipeline_tests.dbt_project import fixture_world as world

# A week after the fixture world's last word, in the zones of its stores, too.
NOW = datetime(2026, 7, 10, 18, 0, tzinfo=UTC)
WAVE, LIST, ACCOUNT = "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "Tulsa & 'Sons' </table>"
_COPIES = itertools.count()


def load(engine: sa.Engine) -> None:
    """The fixture world, as somebody malicious would have named it; a failed text whose reason names a phone."""
    world.load(engine)
    with engine.begin() as connection:
        for statement, value in (
            ("UPDATE volt.waves SET name = :value WHERE id = '10'", WAVE),
            ("UPDATE volt.lists SET name = :value WHERE id = '20'", LIST),
            ("UPDATE volt.accounts SET name = :value WHERE id = '1'", ACCOUNT),
            (
                "UPDATE volt.messages SET status_description = 'cannot reach ' || :value WHERE body = 'Buy now'",
                "+1 (303) 555-7002",
            ),
        ):
            connection.execute(sa.text(statement), {"value": value})


@contextmanager
def copied(url: sa.URL) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A database of its own that holds the same, to be spoiled."""
    name = f"picture_{next(_COPIES)}"
    server = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(command.format(sql.Identifier(name), sql.Identifier(str(url.database))))
        copy = url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        with psycopg.connect(copy, autocommit=True) as own:
            yield own
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def empty(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Marts without a row, as dbt builds them before the first sync."""
    tables = connection.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname IN ('volt', 'volt_marts')"
        " OR schemaname = 'volt_ops' AND tablename IN ('runs', 'walks', 'rejects', 'pushes')"
    ).fetchall()
    connection.execute("TRUNCATE " + ", ".join(str(table) for (table,) in tables) + " CASCADE")


def swell(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """200 accounts, three years of days, and long names, each of them to be escaped."""
    empty(connection)
    for statement in _SWELLING.split(";"):
        connection.execute(statement, prepare=False)


_SWELLING = """
INSERT INTO volt_marts.accounts (account_id, account_name, time_zone)
    SELECT 'a' || n, 'Store <' || n || '> ' || repeat('&"', 40), 'America/Denver' FROM generate_series(1, 200) AS n;
INSERT INTO volt_marts.account_daily
    (account_id, day, inbound, outbound, unknown, delivered, failed, pending, opt_outs, estimated_cost_usd)
    SELECT 'a' || n, date '2026-07-10' - d, 12345, 23456, 7, 23000, 400, 56, 9, 123.45
    FROM generate_series(1, 200) AS n, generate_series(0, 1095, 5) AS d;
INSERT INTO volt_marts.messages
    (message_key, message_id, account_id, direction, status, failure_reason, local_day, sent_at, first_seen_at,
    is_final, is_deleted, estimated_cost_usd, segments)
    SELECT 'k' || n, 'm' || n, 'a' || n % 200 + 1, 'outbound', 'failed', 'reason <' || n || '> ' || repeat('&', 90),
        date '2026-07-09', '2026-07-09 12:00Z', '2026-07-09 12:00Z', true, false, 0.01, 1
    FROM generate_series(1, 2000) AS n;
INSERT INTO volt_marts.responses
    (conversation_id, account_id, asked_at, answered_at, clock_minutes, business_minutes, is_first_in_session,
    is_keyword_only)
    SELECT 'c' || n, 'a' || n % 200 + 1, '2026-07-09 12:00Z',
        CASE WHEN n % 3 > 0 THEN timestamptz '2026-07-09 13:00Z' END,
        CASE WHEN n % 3 > 0 THEN n END, CASE WHEN n % 3 > 0 THEN n END, true, false
    FROM generate_series(1, 5000) AS n;
INSERT INTO volt_marts.waves
    (wave_id, account_id, name, is_campaign, scheduled_at, total_messages, total_delivered, total_failed, total_pending,
    coverage, delivered_loaded, repliers_72h, opt_outs, estimated_cost_usd)
    SELECT 'w' || n, 'a' || n % 200 + 1, 'Wave <' || n || '> ' || repeat('"', 200), true,
        timestamptz '2026-07-09 12:00Z' - n * interval '1 day', 9999, 9000, 900, 99, 1, 9000, 300, 20, 99.99
    FROM generate_series(1, 1000) AS n;
INSERT INTO volt_marts.consent_events (conversation_id, account_id, effect, changed_at)
    SELECT 'c' || n, 'a1', 'opt_out', timestamptz '2026-07-09 12:00Z' - n * interval '1 hour'
    FROM generate_series(1, 5000) AS n;
INSERT INTO volt_marts.contacts (contact_id, account_id, consent, can_text, needs_review, blocked)
    SELECT 'c' || n, 'a1', 'opt_out', false, false, false FROM generate_series(1, 5000) AS n;
INSERT INTO volt_marts.lists_daily (list_id, list_name, account_id, day, size, net_change)
    SELECT 'l' || n, 'List <' || n || '> ' || repeat('<', 200), 'a' || n % 200 + 1, date '2026-07-10' - d,
        1000000 + n * d, n
    FROM generate_series(1, 400) AS n, generate_series(0, 90) AS d;
INSERT INTO volt_ops.pushes (run_id, export, row_key, account_phone, action, outcome, reason, pushed_at)
    SELECT 'run', 'contacts', 'row' || n, '+13035550100', 'update', 'failed',
        'field <' || n || '> ' || repeat('&', 200), '2026-07-09 12:00Z'
    FROM generate_series(1, 2000) AS n;
INSERT INTO volt_ops.rejects (stream, key, reason, digest, run_id)
    SELECT 'messages', 'k' || n, 'reason <' || n || '> ' || repeat('&', 300), n::text, 'run'
    FROM generate_series(1, 2000) AS n
"""
