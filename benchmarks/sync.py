"""How fast a sync is, beside a bare loop that fetches and writes the same (`floor.py`), in pairs.

    .venv/bin/python benchmarks/sync.py [--accounts 4] [--conversations 20000] [--messages 25] [--latency-ms 0 50]

Each run has a database and a process of its own; the API is `volt_server.py`, in another. Dagster and dbt are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any
from urllib.request import Request, urlopen

import floor
import psycopg
from volt_server import INBOX_PAGE, Size, serving

from volt_pipeline.api.client import VoltClient
from volt_pipeline.extract.conversations import ALIASES
from volt_pipeline.sync import sync
from volt_pipeline.warehouse.embedded import EmbeddedPostgres, throwaway_home
from volt_pipeline.warehouse.postgres import conninfo, prepare


async def _sync(api: str, url: str, phones: Sequence[str]) -> float:
    async with VoltClient(f"{api}/graphql", "token") as volt:
        started = time.perf_counter()
        report = await sync(volt, url, phones, run_id=str(time.time_ns()))
        seconds = time.perf_counter() - started
        if report.rejected or any(report.coverage[stream].share != 1 for stream in ("inbox_items", "messages")):
            raise RuntimeError(f"the sync went wrong: {report.rejected} rejects, {report.coverage}")
        return seconds


def alone(which: str, api: str, url: str, phones: Sequence[str]) -> dict[str, float]:
    """One run in a process of its own: seconds, and its peak memory in MB."""
    asked = [sys.executable, __file__, "--one", which, api, url, *phones]
    found: dict[str, float] = json.loads(subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def _one(which: str, api: str, url: str, phones: list[str]) -> None:
    seconds = asyncio.run(floor.run(api, url, phones) if which == "floor" else _sync(api, url, phones))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "memory": peak}))


def database(server: str, name: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = server.rsplit("/", 1)[0] + f"/{name}"
    prepare(url)
    return url


def tell(api: str, what: str) -> int:
    with urlopen(Request(f"{api}/{what}", method="POST")) as answer:  # noqa: S310
        told: int = json.load(answer)
        return told


def _counts(url: str) -> tuple[Any, ...]:
    with psycopg.connect(conninfo(url)) as connection:
        tables = ("messages", "contacts", "inbox_items", "conversations", "waves")
        return tuple(connection.execute(f"SELECT count(*) FROM volt.{each}".encode()).fetchone() for each in tables)


def measure(server: str, size: Size, latency_ms: float, rounds: int) -> None:
    """Print the pairs' ratio and memory, and what a second sync costs: unmoved, and with 1 % of conversations moved."""
    with serving(size, latency_ms) as api:
        pairs = []
        for at in range(rounds):
            urls = {which: database(server, which) for which in ("floor", "ours")}
            turn = list(urls) if at % 2 else list(urls)[::-1]
            pairs.append({which: alone(which, api, urls[which], size.phones) for which in turn})
            if _counts(urls["floor"]) != _counts(urls["ours"]):
                raise RuntimeError(f"they hold different rows: {_counts(urls['floor'])}, {_counts(urls['ours'])}")
        ratio = statistics.median(pair["ours"]["seconds"] / pair["floor"]["seconds"] for pair in pairs)
        seconds, memory = (
            {each: statistics.median(p[each][what] for p in pairs) for each in urls} for what in pairs[0]["ours"]
        )
        print(
            f"{latency_ms:>4.0f} ms  first sync {seconds['ours']:.2f} s, floor {seconds['floor']:.2f} s: {ratio:.2f}x, "
            f"memory {memory['ours']:.0f} MB, floor {memory['floor']:.0f} MB"
        )
        for name in ("unmoved", "1 % moved"):
            moved = tell(api, "move?share=0.01") if name != "unmoved" else 0
            tell(api, "asked")
            again = alone("ours", api, urls["ours"], size.phones)
            least = size.accounts * -(-(moved // size.accounts + 1) // INBOX_PAGE) + -(-moved // ALIASES)
            print(
                f"         second sync, {name}: {again['seconds']:.2f} s, {tell(api, 'asked')} requests (least {least})"
            )


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        _one(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("accounts", 4), ("conversations", 20_000), ("messages", 25), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0, 50])
    given = parser.parse_args()
    size = Size(given.accounts, given.conversations, given.messages)
    print(
        f"{size.accounts} accounts, {size.conversations:,} conversations, median of {given.rounds} pairs:", flush=True
    )
    with throwaway_home() as home, EmbeddedPostgres(home).running() as server:
        for latency_ms in given.latency_ms:
            measure(server, size, latency_ms, given.rounds)


if __name__ == "__main__":
    main()
