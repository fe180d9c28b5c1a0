"""How fast a push writes 2,000 changed contacts, beside a bare loop that sends the same aliased documents.

    make bench        or        .venv/bin/python benchmarks/push.py [contacts]

The bare loop sends pre-rendered documents of 25 mutations, as many at once as a push does, and reads nothing, decides
nothing, compares nothing and records nothing. What a push spends on its writes is the whole push less one that finds
everything unchanged. The sandbox serves from a process of its own, the warehouse is an embedded Postgres.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

import aiohttp
import psycopg

from volt_pipeline.activate.guard import Guard
from volt_pipeline.activate.planning import WRITERS
from volt_pipeline.api import documents
from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.inputs import ContactInput
from volt_pipeline.push import push
from volt_pipeline.sandbox.server import TOKEN, serve
from volt_pipeline.sandbox.world import World
from volt_pipeline.warehouse.embedded import EmbeddedPostgres, throwaway_home
from volt_pipeline.warehouse.postgres import prepare

BATCH, ROUNDS = 25, 7
LATENCIES_MS = (0, 50)


def _serve(latency_ms: float, told: Any) -> None:
    world = World.create(seed=1, accounts=1, contacts=20, now=datetime.now(UTC))
    phone = world.accounts[0].primary_phone
    serve(world, latency_ms=latency_ms, on_ready=lambda url: told.put((url, phone)))


@contextmanager
def sandbox(latency_ms: float) -> Iterator[tuple[str, str]]:
    """A sandbox in its own process: its address, and the phone of its account."""
    context = get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_serve, args=(latency_ms, told), daemon=True)
    process.start()
    try:
        yield told.get(timeout=60)
    finally:
        process.terminate()
        process.join()


def contacts(count: int, account: str, version: int) -> list[ContactInput]:
    """So many contacts; another version, another value of a field."""
    return [
        ContactInput(f"Contact {at}", f"+1918{2_000_000 + at}", account, {"version": str(version)}, False)
        for at in range(count)
    ]


async def bare(url: str, wanted: Sequence[ContactInput], *, reads: bool) -> float:
    """Seconds that the plain loop takes to send the documents; with `reads`, one of readings before each."""
    bodies = [_bodies(wanted[start : start + BATCH], reads=reads) for start in range(0, len(wanted), BATCH)]
    waiting = iter(bodies)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def work() -> None:
            for several in waiting:
                for body in several:
                    async with session.post(url, data=body) as answer:
                        if "errors" in await answer.json():
                            raise RuntimeError("the bare loop met an error")

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(WRITERS)))
        return time.perf_counter() - started


def _bodies(part: Sequence[ContactInput], *, reads: bool) -> list[bytes]:
    asked = [{"primaryPhone": each.account_phone, "phoneNumber": each.phone_number} for each in part]
    write = documents.aliased_mutation("createOrUpdateContact", len(part))
    made = [_body(write, [each.variables() for each in part])]
    return [_body(documents.aliased("contact", len(part)), asked), *made] if reads else made


def _body(document: documents.Document, items: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps({"query": document.text, "variables": documents.spread(items)}).encode()


def publish(url: str, wanted: Sequence[ContactInput]) -> None:
    """Make the export hold these contacts, of an account that is known, so that what Volt answers is loaded."""
    with psycopg.connect(url, autocommit=True) as connection:
        account = "INSERT INTO volt.accounts (id, primary_phone) VALUES ('1', %s) ON CONFLICT DO NOTHING"
        connection.execute(account, [wanted[0].account_phone])
        connection.execute("CREATE SCHEMA IF NOT EXISTS volt_exports")
        connection.execute("DROP TABLE IF EXISTS volt_exports.export_contacts")
        connection.execute(
            "CREATE TABLE volt_exports.export_contacts "
            "(account_phone text, phone_number text, name text, custom_fields jsonb, blocked boolean)"
        )
        with connection.cursor().copy("COPY volt_exports.export_contacts FROM STDIN") as copy:
            for each in wanted:
                copy.write_row(
                    (each.account_phone, each.phone_number, each.name, json.dumps(dict(each.custom_fields)), None)
                )


async def pushed(api: str, url: str, account: str, count: int) -> tuple[float, int]:
    """Seconds that a push takes, and how many requests wrote."""
    async with VoltClient(api, TOKEN) as volt:
        started = time.perf_counter()
        report = await push(volt, url, [account], "contacts", run_id=uuid.uuid4().hex, guard=Guard(permitted=count))
        seconds = time.perf_counter() - started
        if not report.clean or report.count("sent") not in (0, count):
            raise RuntimeError(f"the push went wrong: {report}")
        return seconds, volt.usage.by_operation["createOrUpdateContact"]


@dataclass
class Round:
    """Seconds of one round. `bare` and `with_reads` are each the mean of one loop before the pushes and one after."""

    bare: float
    with_reads: float
    push: float
    unchanged: float
    documents: int

    @property
    def writes_ratio(self) -> float:
        return (self.push - self.unchanged) / self.bare

    @property
    def whole_ratio(self) -> float:
        return self.push / self.with_reads


def one_round(api: str, account: str, url: str, versions: Iterator[int], count: int) -> Round:
    """The bare loops, a push that changes everyone, one that finds nothing to change, and the bare loops again."""

    def loop(*, reads: bool) -> float:
        return asyncio.run(bare(api, contacts(count, account, next(versions)), reads=reads))

    before = loop(reads=False), loop(reads=True)
    publish(url, contacts(count, account, next(versions)))
    push_, documents_sent = asyncio.run(pushed(api, url, account, count))
    unchanged, _ = asyncio.run(pushed(api, url, account, count))
    after = loop(reads=False), loop(reads=True)
    bare_, with_reads = (statistics.mean(pair) for pair in zip(before, after, strict=True))
    return Round(bare_, with_reads, push_, unchanged, documents_sent)


def measure(latency_ms: float, url: str, count: int) -> None:
    """One line: medians over the rounds. Ratios are taken within a round, so that a busy machine slows both sides."""
    with sandbox(latency_ms) as (api, account):
        versions = itertools.count()
        asyncio.run(bare(api, contacts(count, account, next(versions)), reads=True))  # all exist from now on
        rounds = [one_round(api, account, url, versions, count) for _ in range(ROUNDS)]

    def middle(name: str) -> float:
        return float(statistics.median(getattr(each, name) for each in rounds))

    low, _, high = statistics.quantiles([each.writes_ratio for each in rounds], n=4)
    print(
        f"{latency_ms:>4.0f} ms  bare writes {middle('bare'):5.2f} s, with reads {middle('with_reads'):5.2f} s | "
        f"push {middle('push'):5.2f} s, of an unchanged export {middle('unchanged'):5.2f} s, "
        f"{rounds[0].documents} write requests | writes {middle('writes_ratio'):.2f}x (half of the rounds within "
        f"{low:.2f} to {high:.2f}), whole push {middle('whole_ratio'):.2f}x"
    )


def main() -> None:
    """Print one line a latency."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    print(f"{count:,} changed contacts, {BATCH} a document, {WRITERS} documents at once, median of {ROUNDS} rounds:")
    with throwaway_home() as home, EmbeddedPostgres(home).running() as url:
        prepare(url)
        for latency_ms in LATENCIES_MS:
            measure(latency_ms, url, count)


if __name__ == "__main__":
    main()
