"""How long dbt takes on a million messages: the first build, and the run after 5,000 of them changed.

    .venv/bin/python benchmarks/marts.py [messages [changed]]

An embedded Postgres, with the settings that it has for everybody, is filled by SQL: ten accounts with pool numbers,
contacts, waves, two ids for one text in a hundred, texts between accounts. A build makes seeds, staging and
marts as a sync does; its data tests are timed by themselves. The slowest nodes are named, and nothing is asserted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from volt_pipeline.warehouse.embedded import EmbeddedPostgres, throwaway_home
from volt_pipeline.warehouse.postgres import prepare

PROJECT = Path(__file__).parents[1] / "dbt_project"
SLOWEST = 6

# Each conversation holds about 20 texts, in four sessions over the year.
FILL = """
CREATE TEMP TABLE p AS SELECT {messages}::bigint AS messages, greatest({messages} / 20, 10)::bigint AS contacts;

INSERT INTO volt.accounts (id, name, primary_phone, first_seen_at, loaded_at)
SELECT n::text, 'Store ' || n,
    CASE n WHEN 0 THEN '+19185550100' WHEN 1 THEN '+16025550100' WHEN 2 THEN '+13035550100'
        ELSE '+1214555' || 1000 + n END,
    now(), now()
FROM generate_series(0, 9) AS n;

INSERT INTO volt.account_numbers (account_id, phone_number, evidence, first_seen_at, loaded_at)
SELECT (n % 10)::text, '+1214556' || 1000 + n, 'mapped_number', now(), now() FROM generate_series(0, 99) AS n;

INSERT INTO volt.contacts (id, account_id, phone_number, name, custom_fields, blocked, first_seen_at, loaded_at)
SELECT n::text, (n % 10)::text, '+1' || 3000000000 + n, 'Contact ' || n,
    '[{{"key": "tier", "type": "string", "value": "gold"}}]', n % 97 = 0, now(), now()
FROM p, generate_series(0, contacts - 1) AS n;

INSERT INTO volt.waves (id, account_id, name, type, scheduled_time, total_messages, total_messages_delivered,
    total_messages_failed, first_seen_at, loaded_at)
SELECT n::text, (n % 10)::text, 'Wave ' || n, 'account', '2026-01-01T10:00:00Z', 1000, 940, 40, now(), now()
FROM generate_series(0, 249) AS n;

INSERT INTO volt.conversations (account_id, contact_phone, messages_total, first_seen_at, loaded_at)
SELECT account_id, phone_number, 20, now(), now() FROM volt.contacts;

INSERT INTO volt.inbox_items (account_id, contact_phone, contact_id, is_unread, first_seen_at, loaded_at)
SELECT account_id, phone_number, id, false, now(), now() FROM volt.contacts;

INSERT INTO volt.lists (id, account_id, name, size, first_seen_at, loaded_at)
SELECT n::text, (n % 10)::text, 'List ' || n, 1000, now(), now() FROM generate_series(0, 49) AS n;

INSERT INTO volt.contact_lists (contact_id, list_id, valid_from, first_seen_at, loaded_at)
SELECT n::text, (n % 50)::text, '2026-01-01', now(), now() FROM p, generate_series(0, contacts - 1) AS n;

INSERT INTO volt.list_sizes (list_id, size, observed_at)
SELECT (n % 50)::text, 1000 + n, timestamptz '2026-01-01' + n * interval '1 hour' FROM generate_series(0, 4999) AS n;
"""

TEXTS = """
INSERT INTO volt.messages (id, legacy_id, account_id, to_number, from_number, status, status_description, media, body,
    sent_at, confirmed_at, wave_id, contact_id, contact_phone, is_final, first_seen_at, loaded_at)
SELECT 'rf_' || n, md5((CASE WHEN n % 100 = 99 THEN n - 1 ELSE n END)::text)::uuid::text, account,
    CASE WHEN inbound THEN own ELSE contact END, CASE WHEN inbound THEN contact ELSE own END,
    CASE WHEN inbound THEN 'received' WHEN n % 20 = 1 THEN 'failed' WHEN n % 200 = 3 THEN 'sent' ELSE 'delivered' END,
    CASE WHEN n % 20 = 1 THEN 'Destination number is a landline' ELSE 'ok' END,
    CASE WHEN n % 50 = 7 THEN '["https://example.com/a.png"]' ELSE '[]' END::jsonb,
    CASE
        WHEN n % 2000 = 0 THEN 'STOP'
        WHEN n % 5000 = 2 THEN 'Please take me off this list'
        WHEN n % 30 = 1 THEN 'Your order is ready 🧱 come and see us'
        WHEN n % 3 = 0 THEN 'How much is a pallet of the red brick, and can you deliver it to us on Friday before noon?'
        ELSE 'Thanks for asking! Your stone is ready for pickup at the yard, gate 4. We are open until 17:30 today. '
            || left(md5(n::text), 20)
    END,
    said, said + interval '5 seconds', CASE WHEN NOT inbound AND n % 4 = 1 THEN (n % 250)::text END,
    contact_id, contact, n % 200 <> 3, now(), now()
FROM (
    SELECT n, (n % 2 = 0) AS inbound, (c % 10)::text AS account, c::text AS contact_id,
        CASE WHEN n % 1000 = 501 THEN '+1214555' || 1003 + n % 7 ELSE '+1' || 3000000000 + c END AS contact,
        CASE WHEN n % 3 = 0 THEN '+1214556' || 1000 + c % 100
            WHEN c % 10 = 0 THEN '+19185550100' WHEN c % 10 = 1 THEN '+16025550100' WHEN c % 10 = 2 THEN '+13035550100'
            ELSE '+1214555' || 1000 + c % 10 END AS own,
        timestamptz '2026-01-01' + (i / 5) * interval '80 days' + (i % 5) * interval '11 minutes'
            + (c % 3000) * interval '17 minutes' AS said
    FROM p, LATERAL (
        SELECT n, (n / 2) % contacts AS c, n / 2 / contacts * 2 + n % 2 AS i
        FROM generate_series({first}::bigint, {last}) AS n
    ) AS each
) AS texts;
"""

# Late statuses and tombstones; new texts come beside them.
CHANGE = """
UPDATE volt.messages SET status = 'failed', status_description = 'Handset unreachable', loaded_at = now()
WHERE id IN (SELECT 'rf_' || n * 201 FROM generate_series(1, {changed} * 7 / 10) AS n);
UPDATE volt.messages SET deleted_at = now(), loaded_at = now()
WHERE id IN (SELECT 'rf_' || n * 977 FROM generate_series(1, {changed} / 10) AS n);
"""


def dbt(url: str, home: Path, *arguments: str) -> tuple[float, list[tuple[float, str]]]:
    """Run dbt once: seconds of the whole command, and of its slowest nodes."""
    parts = make_url(url)
    connection = {
        "VOLT_DBT_HOST": str(parts.host),
        "VOLT_DBT_PORT": str(parts.port),
        "VOLT_DBT_USER": str(parts.username),
        "VOLT_DBT_PASSWORD": str(parts.password),
        "VOLT_DBT_DBNAME": str(parts.database),
    }
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-version-check", "--quiet", *arguments]
    command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    command += ["--target-path", str(home / "target"), "--log-path", str(home / "logs")]
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **connection}, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    results = json.loads((home / "target" / "run_results.json").read_text())["results"]
    nodes = sorted(((each["execution_time"], each["unique_id"].split(".")[2]) for each in results), reverse=True)
    return seconds, nodes[:SLOWEST]


def report(name: str, url: str, home: Path, *arguments: str) -> None:
    seconds, slowest = dbt(url, home, *arguments)
    print(f"{name:<34}{seconds:8.1f} s   " + ", ".join(f"{node} {took:.1f}" for took, node in slowest), flush=True)


def main(messages: int = 1_000_000, changed: int = 5_000) -> None:
    with throwaway_home() as folder, EmbeddedPostgres(folder).running() as url:
        home = folder / "dbt"
        prepare(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.format(messages=messages))
            connection.execute(TEXTS.format(first=1, last=messages))
            connection.execute("VACUUM ANALYZE")
            print(f"{messages:,} messages, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
            everything = ("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")
            report("full build", url, home, "build", *everything)
            report("its data tests", url, home, "test", "--exclude-resource-type", "unit_test")
            report("run after no change", url, home, "build", *everything)
            connection.execute(CHANGE.format(changed=changed))
            connection.execute(TEXTS.format(first=messages + 1, last=messages + changed // 5))
            report(f"run after {changed:,} changes", url, home, "build", *everything)
            report("its data tests", url, home, "test", "--exclude-resource-type", "unit_test")
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
