"""The figures of docs/scaling.md: what a message costs in requests and on disk, and what a quiet account costs.

    .venv/bin/python benchmarks/scale.py [--accounts 1000] [--conversations 20000] [--messages 25] [--latency-ms 50]

One process, the API of `volt_server.py` in another, an embedded Postgres with the settings that it has for everybody.
Dagster and dbt are left out: `benchmarks/marts.py` times dbt.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

import psycopg
from sync import database, tell
from volt_server import Size, serving

from volt_pipeline.api.client import VoltClient
from volt_pipeline.report import SyncReport
from volt_pipeline.sync import sync
from volt_pipeline.warehouse.embedded import EmbeddedPostgres, throwaway_home
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline.warehouse.queries import query

SIZES = """
SELECT n.nspname || '.' || c.relname, pg_relation_size(c.oid), pg_total_relation_size(c.oid), c.reltuples::bigint
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('volt', 'volt_ops') AND c.relkind = 'r' AND pg_total_relation_size(c.oid) > 1000000
ORDER BY 3 DESC
"""


async def _sync(api: str, url: str, phones: Sequence[str], *, measure: bool) -> SyncReport:
    async with VoltClient(f"{api}/graphql", "token") as volt:
        return await sync(volt, url, phones, run_id=str(time.time_ns()), measure=measure)


def _timed(api: str, url: str, phones: Sequence[str], *, measure: bool = False) -> tuple[float, int]:
    """Seconds of wall clock, and requests."""
    tell(api, "asked")
    started = time.perf_counter()
    asyncio.run(_sync(api, url, phones, measure=measure))
    return time.perf_counter() - started, tell(api, "asked")


def _weigh(url: str, messages: int) -> None:
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        total = 0
        for name, heap, whole, rows in connection.execute(SIZES.encode()).fetchall():
            total += whole
            a_row = f"{whole / max(rows, 1):>6.0f} B a row, {heap / max(rows, 1):.0f} of it heap"
            print(f"  {name:28} {rows:>10,} rows  {a_row}")
        print(f"  {total / messages:.0f} B a message on disk with all that belongs to it")
        for name in ("coverage", "oldest_contact_reading"):
            started = time.perf_counter()
            connection.execute(query(name)).fetchall()
            print(f"  {name}: {time.perf_counter() - started:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("accounts", 1_000), ("conversations", 20_000), ("messages", 25)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--latency-ms", type=float, default=50)
    given = parser.parse_args()
    size = Size(given.accounts, given.conversations, given.messages)
    with throwaway_home() as home, EmbeddedPostgres(home).running() as server:
        url = database(server, "scale")
        with serving(size, given.latency_ms) as api:
            seconds, requests = _timed(api, url, size.phones)
            with psycopg.connect(conninfo(url)) as connection:
                ((messages,),) = connection.execute("SELECT count(*) FROM volt.messages").fetchall()
            print(
                f"{size.accounts:,} accounts, {size.conversations:,} conversations, {messages:,} messages, "
                f"{given.latency_ms:.0f} ms\nfirst sync: {seconds:.1f} s, {messages / seconds:,.0f} messages/s, "
                f"{requests:,} requests, {messages / requests:.1f} messages a request"
            )
            _weigh(url, messages)
            for what in ("unmoved", "unmoved, with the coverage"):
                seconds, requests = _timed(api, url, size.phones, measure="coverage" in what)
                print(f"second sync, {what}: {seconds:.1f} s, {requests:,} requests")
            moved = tell(api, "move?share=0.01")
            seconds, requests = _timed(api, url, size.phones)
            print(f"second sync, {moved} conversations moved: {seconds:.1f} s, {requests:,} requests")
            seconds, requests = _timed(api, url, size.phones[:1])
            print(f"second sync of one account: {seconds:.2f} s, {requests} requests")


if __name__ == "__main__":
    main()
