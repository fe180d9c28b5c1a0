"""How near the client keeps to a rate limit that it was not told of, and what pacing costs where there is none.

    .venv/bin/python benchmarks/pacing.py [--rates 50 200] [--seconds 20] [--latency-ms 0 50] [--requests 2000]

The servers are real ones, each in a process of its own, and answer at once. With a limit: the rate achieved beside the
one allowed, and the share of requests that were refused, over the whole run and from the fourth second on. Without one:
the throughput beside that of the best of some fixed numbers of requests in flight.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import VoltError
from volt_pipeline.api.flight import Flight
from volt_pipeline.api.pacing import Clock, Pacing
from volt_pipeline.sandbox.rate_limits import FixedWindow, RateLimit, TokenBucket

WORKERS = 64  # who always want to ask
FIXED = (4, 8, 16, 32)  # requests in flight
SETTLED = 3.0  # seconds that learning may take
ANSWER = b'{"data":{"message":{"id":"rf_1","body":"Hello, this is a text about two pallets of thin brick."}}}'


def _limits(rate: int) -> dict[str, RateLimit]:
    return {
        "window": FixedWindow(rate),
        "window, Retry-After": FixedWindow(rate, retry_after=1),
        "bucket of a second": TokenBucket(rate, rate),
        "bucket of 0.1 s": TokenBucket(rate, rate / 10),
        "bucket, Retry-After": TokenBucket(rate, rate, retry_after=1),
    }


def _serve(limit: RateLimit | None, latency: float, told: Any) -> None:
    async def graphql(request: web.Request) -> web.Response:
        await request.read()
        if limit is not None and not limit.admits():
            headers = {"Retry-After": f"{limit.retry_after:g}"} if limit.retry_after else {}
            return web.Response(status=429, headers=headers)
        if latency:
            await asyncio.sleep(latency)
        return web.Response(body=ANSWER, content_type="application/json")

    async def run() -> None:
        app = web.Application()
        app.add_routes([web.post("/graphql", graphql)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.put(f"http://127.0.0.1:{runner.addresses[0][1]}/graphql")
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def serving(limit: RateLimit | None, latency: float) -> Iterator[str]:
    """The address of such a server, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_serve, args=(limit, latency, told), daemon=True)
    process.start()
    try:
        yield told.get(timeout=60)
    finally:
        process.terminate()
        process.join()


class _Fixed(Flight):
    """Always the same number in flight, whatever happens."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.limit = number

    def _judge(self, now: float) -> None:
        self.limit = self.cap


async def _crowd(client: VoltClient, wanted: Callable[[], bool], answered: Callable[[], None]) -> None:
    async def work() -> None:
        while wanted():
            try:
                await client.query("message", {"id": "rf_1"})
            except VoltError as error:
                raise SystemExit(f"a read was lost: {error}") from None
            answered()

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(work())


async def limited(url: str, rate: int, seconds: float) -> str:
    """One run against a limited server, as a line."""
    async with VoltClient(url, "token") as client:
        began = time.monotonic()
        answers: list[float] = []
        settled: list[tuple[int, int]] = []

        def answered() -> None:
            answers.append(time.monotonic() - began)
            if not settled and answers[-1] >= SETTLED:
                settled.append((client.usage.requests, client.usage.throttled))

        await _crowd(client, lambda: time.monotonic() - began < seconds, answered)
        usage, (asked, refused) = client.usage, settled[0]
        whole = sum(at <= seconds for at in answers) / seconds / rate
        later = sum(SETTLED < at <= seconds for at in answers) / (seconds - SETTLED) / rate
        return (
            f"{whole:6.1%} of {rate}/s, {usage.throttled / usage.requests:5.2%} refused; "
            f"settled {later:6.1%}, {(usage.throttled - refused) / (usage.requests - asked):5.2%} refused"
        )


async def throughput(url: str, requests: int, fixed: int = 0) -> float:
    """Answers a second, with pacing as it is or with a fixed number in flight."""
    async with VoltClient(url, "token", concurrency=fixed or 32) as client:
        if fixed:
            pacing = client._pacing
            pacing.flight = _Fixed(fixed)
            pacing._slots.resize(fixed)
        left = iter(range(requests))
        began = time.perf_counter()
        await _crowd(client, lambda: next(left, None) is not None, lambda: None)
        return requests / (time.perf_counter() - began)


def _unlimited(latency_ms: float, requests: int, rounds: int) -> str:
    with serving(None, latency_ms / 1000) as url:
        asyncio.run(throughput(url, requests // 4))  # warm
        found: dict[int, list[float]] = {number: [] for number in (0, *FIXED)}
        for _ in range(rounds):
            for number, rates in found.items():
                rates.append(asyncio.run(throughput(url, requests, number)))
    mean = {number: statistics.median(rates) for number, rates in found.items()}
    best = max(FIXED, key=lambda number: mean[number])
    return f"{mean[0]:.0f}/s, best fixed ({best} in flight) {mean[best]:.0f}/s: {mean[0] / mean[best]:.2f}x"


async def _cost(requests: int, rate: float | None) -> float:
    """Microseconds of pacing a request, with nothing to wait for."""
    pacing = Pacing(32, Clock())
    pacing.rate.limit = rate
    began = time.perf_counter()
    for _ in range(requests):
        async with pacing.slot():
            await pacing.ready("message", 60.0)
            left_at = pacing.left()
            pacing.returned("message", left_at, status=200, size=1000, failures=())
    return (time.perf_counter() - began) / requests * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=int, nargs="*", default=[50, 200])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--latency-ms", type=float, nargs="*", default=[0, 50])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    print("pacing: the rate kept beside the rate allowed, by a limit that the client has to find out")
    for rate in given.rates:
        for name, limit in _limits(rate).items():
            with serving(limit, 0.01) as url:
                print(f"{name:>20}: {asyncio.run(limited(url, rate, given.seconds))}", flush=True)
    for latency_ms in given.latency_ms:
        print(f"no limit, {latency_ms:3.0f} ms: {_unlimited(latency_ms, given.requests, given.rounds)}", flush=True)
    known = asyncio.run(_cost(20_000, 1e6))
    print(f"CPU a request: {asyncio.run(_cost(20_000, None)):.1f} µs, {known:.1f} µs once a rate is known")


if __name__ == "__main__":
    main()
