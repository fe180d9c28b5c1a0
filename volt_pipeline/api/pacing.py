"""How hard Volt is asked: so many requests at once, so many a second, a pause that all respect, patience with a read.

Volt publishes no limits, so a client learns them from the answers, for its life. Three things hold a request back:

- its slot: as many may be in flight as Volt works on without getting slower, failing or refusing (`flight.py`);
- its turn: once Volt has refused, requests are spaced in time, at the rate that Volt was found to allow (`rate.py`). A
  number in flight alone cannot keep to a rate: halved it is too low, grown again it is refused, for ever;
- the pause: what `Retry-After` asks holds for all. Where a refusal names no time, all are quiet for a moment, which
  doubles while nothing but refusals comes.

`concurrency` (VOLT_CONCURRENCY) caps what may be learned. It is the cap of one process. Processes that share a token (a
sync and a push, a run for each account) have their own pacing, meet the same refusals, and come to share what Volt
allows; together they may have their caps' sum in flight, so where Volt's limit is one on requests at once, divide it.

Nothing here decides that something is asked again. That is `Patience`, for reads; a mutation waits like all, and goes
out once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from volt_pipeline.api.errors import RateLimited, TransientError, VoltError
from volt_pipeline.api.flight import Flight
from volt_pipeline.api.rate import Rate
from volt_pipeline.api.slots import Slots

BASE_DELAY = 0.2  # seconds; doubles with each try, and the wait is drawn between nothing and that
LONGEST_DELAY = 10.0
BASE_PAUSE = 0.05  # seconds after a refusal that names no time; doubles with each in a row
LONGEST_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time and chance come from; tests bring their own."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


class Pacing:
    """Slots, turns and pauses for the requests of one client; `concurrency` is the hard cap.

    async with pacing.slot():
        await pacing.ready(operation, limit)
        left_at = pacing.left()
        ...
        pacing.returned(operation, left_at, status=status, size=size, failures=failures)
    """

    def __init__(self, concurrency: int, clock: Clock) -> None:
        self.concurrency = concurrency
        self.clock = clock
        self.flight = Flight(concurrency)
        self.rate = Rate()
        self._slots = Slots(self.flight.limit)
        self._quiet_until = self._asked_until = float("-inf")
        self._refusals = 0  # in a row, one a round trip

    def slot(self) -> AbstractAsyncContextManager[None]:
        """One of the slots. A read keeps its slot while it backs off: a failing API is then asked less."""
        return self._slots

    def pause(self, seconds: float) -> None:
        """Nobody sends for so long, because Volt asks for it."""
        self._asked_until = max(self._asked_until, self.clock.monotonic() + seconds)
        self._be_quiet(seconds)

    async def ready(self, operation: str, limit: float) -> None:
        """Wait for a turn; raise RateLimited at once if Volt asks for a pause that ends later than in `limit` seconds.

        A turn may come later than that: it is our own doing, and no reason to give up.
        """
        latest = self.clock.monotonic() + limit
        while True:
            while (now := self.clock.monotonic()) < self._quiet_until:
                if now < self._asked_until and self._asked_until > latest:
                    raise _left_alone(operation, self._asked_until - now)
                await self.clock.sleep(self._quiet_until - now)
            leaves_at = self.rate.reserve(now)
            if leaves_at > now:
                await self.clock.sleep(leaves_at - now)
            if self.clock.monotonic() >= self._quiet_until:  # else a pause began before this one's turn came
                return

    def left(self) -> float:
        """Note that a request is sent now; gives when that is."""
        self.flight.left()
        return self.clock.monotonic()

    def returned(
        self, operation: str, left_at: float, *, status: int, size: int, failures: Sequence[VoltError] | None
    ) -> None:
        """Learn from what came of a request: HTTP status, bytes, errors; `failures` is None if nobody waited for it."""
        now = self.clock.monotonic()
        if failures is None:
            self.flight.forgotten()
            return
        asked = max((error.retry_after or 0.0 for error in failures), default=0.0)
        if asked:
            self.pause(asked)
        if any(isinstance(error, RateLimited) for error in failures):
            if self.flight.refused(left_at, now):
                self._refused(now, asked)
        elif any(isinstance(error, TransientError) for error in failures):
            self.flight.unanswered(left_at, now, overloaded=status == 503)
        else:
            self.flight.answered((operation, size.bit_length()), left_at, now, self._slots.taken)
            self.rate.accepted(now)
            if left_at >= self._quiet_until:
                self._refusals = 0
        self._slots.resize(self.flight.limit)

    def _refused(self, now: float, asked: float) -> None:
        """The first refusal of a round trip, with the pause that it asks for."""
        self.rate.refused(now, asked)
        self._refusals += 1
        if not asked:
            moment = min(LONGEST_PAUSE, BASE_PAUSE * 2.0 ** min(self._refusals - 1, 16))
            self._be_quiet(moment * (0.5 + self.clock.random()))  # not the same for all who share the token

    def _be_quiet(self, seconds: float) -> None:
        self._quiet_until = max(self._quiet_until, self.clock.monotonic() + seconds)
        self.rate.hold(self._quiet_until)


def _left_alone(operation: str, seconds: float) -> RateLimited:
    return RateLimited(
        operation,
        f"Volt asks to be left alone for {seconds:.0f} s more, longer than this request may wait. Try later, "
        "or ask with less concurrency.",
        whole=True,
        retry_after=seconds,
    )


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
