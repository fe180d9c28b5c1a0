"""How hard Volt is asked: so many requests at once, a pause that all respect, and patience with a failing read.

Volt publishes no rate limits. The number of slots is fixed today; whatever learns a better number later belongs
behind `Pacing`, whose users only ask for a slot and report a wish for quiet.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from volt_pipeline.api.errors import RateLimited, VoltError

BASE_DELAY = 0.2  # seconds; doubles with each try, and the wait is drawn between nothing and that
LONGEST_DELAY = 10.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time and chance come from; tests bring their own."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


class Pacing:
    """The slots that requests take, and the pause that Volt's `Retry-After` asks of all of them."""

    def __init__(self, concurrency: int, clock: Clock) -> None:
        self.concurrency = concurrency
        self.clock = clock
        self._slots = asyncio.Semaphore(concurrency)
        self._quiet_until = float("-inf")

    def slot(self) -> AbstractAsyncContextManager[None]:
        """One of the slots. A read keeps its slot while it backs off: a failing API is then asked less."""
        return self._slots

    def pause(self, seconds: float) -> None:
        """Nobody sends for so long."""
        self._quiet_until = max(self._quiet_until, self.clock.monotonic() + seconds)

    async def ready(self, operation: str, limit: float) -> None:
        """Wait until Volt may be asked; raise RateLimited at once if that takes longer than `limit` seconds."""
        while (left := self._quiet_until - self.clock.monotonic()) > 0:
            if left > limit:
                raise RateLimited(
                    operation,
                    f"Volt asks to be left alone for {left:.0f} s more, longer than this request may wait. Try later, "
                    "or ask with less concurrency.",
                    whole=True,
                    retry_after=left,
                )
            await self.clock.sleep(left)


class Patience:
    """How long one read is tried again, from its first try on: its deadline, and its waits."""

    def __init__(self, pacing: Pacing, deadline: float) -> None:
        self._pacing = pacing
        self._ends = pacing.clock.monotonic() + deadline
        self.tries = 0

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self._ends - self._pacing.clock.monotonic()

    def wait(self, error: VoltError, most: int = 0) -> float | None:
        """How many seconds to wait before another try; None when this was the last. Called once a failed try.

        `most` is the most tries in all that the document allows, 0 for any number. A `Retry-After` is not waited for
        here: it became a pause for all.
        """
        self.tries += 1
        allowed = [limit for limit in (most, error.attempts) if limit]
        if not error.retryable or (allowed and self.tries >= min(allowed)):
            return None
        delay = self._pacing.clock.random() * min(LONGEST_DELAY, BASE_DELAY * 2.0 ** min(self.tries - 1, 16))
        return delay if max(delay, error.retry_after or 0.0) < self.left else None
