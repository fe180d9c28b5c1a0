"""Simulated time: an event loop whose clock jumps to whatever comes next, and many readers of one limited server."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from volt_pipeline.api.errors import RateLimited, VoltError
from volt_pipeline.api.pacing import Clock, Pacing, Patience
from volt_pipeline.sandbox.rate_limits import RateLimit


class _Jump(selectors.DefaultSelector):
    """Instead of waiting it moves the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jump = _Jump()
        super().__init__(self.jump)

    def time(self) -> float:
        return self.jump.now


def simulate(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run to the end, in no time."""
    loop = _Loop()
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Reader:
    """One client's pacing, and `crowd` tasks that ask as a client's reads do, until the time is up."""

    admits: Callable[[], bool]
    retry_after: float | None = None
    latency: float = 0.05
    crowd: int = 64
    cap: int = 32
    seed: int = 1
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    most_aloft: int = 0
    aloft: int = 0

    async def read(self, until: float) -> None:
        chance = random.Random(self.seed)
        self.pacing = Pacing(self.cap, Clock(monotonic=now, sleep=asyncio.sleep, random=chance.random))

        async def work() -> None:
            while now() < until:
                async with self.pacing.slot():
                    await self._one()

        await asyncio.gather(*(work() for _ in range(self.crowd)))

    async def _one(self) -> None:
        patience = Patience(self.pacing, 120.0)
        while True:
            await self.pacing.ready("message", patience.left)
            left_at = self.pacing.left()
            failures: list[VoltError] = []
            self.aloft += 1
            self.most_aloft = max(self.most_aloft, self.aloft)
            await asyncio.sleep(self.latency / 2)
            if not self.admits():
                failures = [RateLimited("message", "slow down", whole=True, retry_after=self.retry_after)]
            await asyncio.sleep(self.latency / 2)
            self.aloft -= 1
            self.pacing.returned("message", left_at, status=429 if failures else 200, size=1000, failures=failures)
            (self.refused if failures else self.accepted).append(now())
            if not failures:
                return
            delay = patience.wait(failures[0])
            assert delay is not None, "a read was given up"
            await asyncio.sleep(delay)

    def rate(self, since: float, until: float) -> float:
        """Accepted requests a second."""
        return sum(since <= at < until for at in self.accepted) / (until - since)

    def refusals(self, since: float) -> float:
        """The share of requests that were refused."""
        bad, good = (sum(since <= at for at in times) for times in (self.refused, self.accepted))
        return bad / max(1, bad + good)


def reading(limit: RateLimit, seconds: float, **options: Any) -> Reader:
    """What one reader got out of a limited server in so many simulated seconds."""
    reader = Reader(limit.admits, limit.retry_after, **options)
    simulate(lambda: reader.read(seconds))
    return reader
