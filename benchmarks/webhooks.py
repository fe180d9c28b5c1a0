"""How many events a second the receiver makes durable, what a forged flood costs, and how soon a row is fresh.

    .venv/bin/python benchmarks/webhooks.py [events]

The receiver serves from a process of its own (`volt-pipeline webhooks serve`) on an embedded Postgres that flushes to
disk at each commit; a sender in this process signs ahead and keeps so many requests in flight. Then the same load,
unsigned. Then a sandbox delivers signed events of a moving world while re-readings go on, and the time from an event's
arrival to its refreshed row is taken from `volt_ops.webhook_events`.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import psycopg

from volt_pipeline.api.client import VoltClient
from volt_pipeline.refresh import refresh
from volt_pipeline.sandbox.courier import delivering
from volt_pipeline.sandbox.server import running
from volt_pipeline.sandbox.signing import Signer
from volt_pipeline.sandbox.world import World
from volt_pipeline.sync import sync
from volt_pipeline.warehouse.embedded import EmbeddedPostgres, throwaway_home
from volt_pipeline.warehouse.postgres import prepare

IN_FLIGHT = 32
PACE = 250
MOVES = 100
Request = tuple[bytes, dict[str, str]]


@contextmanager
def receiver(url: str, key_file: Path) -> Iterator[str]:
    """The receiving process: its address."""
    settings = {"WAREHOUSE_URL": url, "VOLT_WEBHOOK_PUBLIC_KEY_FILE": str(key_file), "VOLT_WEBHOOK_RATE": "100000"}
    command = [sys.executable, "-m", "volt_pipeline", "webhooks", "serve", "--port", "0"]
    with subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or "Receiving events at " not in (told := process.stdout.readline()):
                raise RuntimeError("the receiver did not start")
            yield told.split(" at ")[1].split(",")[0]
        finally:
            process.terminate()


def signed(signer: Signer, count: int) -> list[Request]:
    """So many different events, as large as a text with its frame is."""
    made = []
    for number in range(count):
        payload = {
            "event_type": "message.received",
            "id": f"{uuid.uuid4().hex}_{number}",
            "text": "x" * 300,
            "direction": "inbound",
        }
        body = json.dumps({"payload": payload}).encode()
        made.append((body, signer.headers(body, f"msg_{uuid.uuid4().hex}", datetime.now(UTC))))
    return made


def forged(count: int) -> list[Request]:
    body = b'{"payload": {"text": "%s"}}' % (b"x" * 300)
    return [(body, {"X-Respond-Flow-Signature": "bm8=" * 86})] * count


async def load(url: str, requests: Sequence[Request], expected: int, pace: float = 0) -> tuple[float, list[float]]:
    """Seconds in all, and of each request, sorted. With a `pace`, so many begin a second, however slow the answers;
    without, as many as IN_FLIGHT take."""
    waiting, times = iter(requests), list[float]()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(body: bytes, headers: dict[str, str], began: float) -> None:
            async with session.post(url, data=body, headers=headers) as answer:
                if answer.status != expected:
                    raise RuntimeError(f"answered {answer.status} instead of {expected}")
            times.append(time.perf_counter() - began)

        async def work() -> None:
            for body, headers in waiting:
                await one(body, headers, time.perf_counter())

        started = time.perf_counter()
        if not pace:
            await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
            return time.perf_counter() - started, sorted(times)
        async with asyncio.TaskGroup() as group:
            for number, (body, headers) in enumerate(requests):
                due = started + number / pace
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(one(body, headers, due))
        return time.perf_counter() - started, sorted(times)


def told(what: str, seconds: float, times: Sequence[float], more: str) -> None:
    p50, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
    rate = f"{len(times):,} in {seconds:.1f} s = {len(times) / seconds:,.0f}/s"
    print(f"{what}: {rate}, p50 {p50:.0f} ms, p99 {p99:.0f} ms; {more}")


def transactions(url: str) -> int:
    """Transactions of this database so far, by Postgres' own count."""
    with psycopg.connect(url.rsplit("/", 1)[0] + "/postgres", autocommit=True) as connection:
        connection.execute("SELECT pg_sleep(1.1)")  # backends tell their counts once a second
        row = connection.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'volt'"
        ).fetchone()
        return int(row[0]) if row else 0


def receiving(home: Path, signer: Signer, count: int) -> None:
    """Durable events a second, and the flood."""
    with EmbeddedPostgres(home).running() as url:
        prepare(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET autovacuum = off")  # its transactions would be counted below
            connection.execute("SELECT pg_reload_conf()")
        with receiver(url, signer.public_file) as address:
            asyncio.run(load(address, signed(signer, 200), 200))
            for pace in (0, PACE):
                seconds, times = asyncio.run(load(address, signed(signer, count), 200, pace))
                how = f"at {pace}/s" if pace else f"{IN_FLIGHT} in flight"
                told(f"signed events, durable ({signer.scheme}, {how})", seconds, times, "all committed")
            before, began = transactions(url), time.perf_counter()
            seconds, times = asyncio.run(load(address, forged(count), 401))
            idle = transactions(url) - before
            watched = int(time.perf_counter() - began) + 1
            told("forged flood", seconds, times, f"transactions {idle} (the receiver's own watch: about {watched})")
            with psycopg.connect(url) as connection:
                row = connection.execute("SELECT count(*) FROM volt_ops.webhook_events").fetchone()
                print(f"rows in volt_ops.webhook_events: {row[0] if row else 0:,}")


async def _reread(sandbox_url: str, token: str, phones: Sequence[str], url: str, done: asyncio.Event) -> None:
    async with VoltClient(sandbox_url, token) as volt:
        while not done.is_set():
            await refresh(volt, url, phones, run_id=uuid.uuid4().hex, linger=2.0)


async def _moving(sandbox_url: str, token: str, phones: Sequence[str], url: str, world: World) -> None:
    async with VoltClient(sandbox_url, token) as volt:
        await sync(volt, url, phones, run_id=uuid.uuid4().hex)
    done = asyncio.Event()
    reading = asyncio.create_task(_reread(sandbox_url, token, phones, url, done))
    for _ in range(MOVES):
        world.move(0.001, world.clock())
        await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    done.set()
    await reading


def freshness(home: Path, signer: Signer) -> None:
    """From an event's arrival to its refreshed row, a re-reading run being up."""
    world = World.create(seed=1, accounts=3, contacts=120, now=datetime.now(UTC))
    with EmbeddedPostgres(home).running() as url, running(world) as volt, delivering(world, signer) as courier:
        prepare(url)
        with receiver(url, signer.public_file) as address:
            world.mutate("registerWebhook", {"url": address})
            phones = [account.primary_phone for account in world.accounts]
            asyncio.run(_moving(volt.url, volt.token, phones, url, world))
            courier.wait()
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT extract(epoch FROM processed_at - received_at)::float FROM volt_ops.webhook_events "
                "WHERE outcome = 'refreshed' ORDER BY 1"
            ).fetchall()
    waits = [wait for (wait,) in rows]
    print(
        f"from a signed event to its refreshed row: median {statistics.median(waits):.2f} s, "
        f"p95 {waits[int(len(waits) * 0.95)]:.2f} s, of {len(waits)} events ({courier.lost} lost)"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    print(f"{os.cpu_count()} cores, {IN_FLIGHT} requests in flight")
    with throwaway_home() as directory:
        for scheme in ("rsa", "ed25519"):
            receiving(directory / "home", Signer.kept_in(directory / "keys", scheme), count)
        freshness(directory / "other", Signer.kept_in(directory / "keys"))


if __name__ == "__main__":
    main()
