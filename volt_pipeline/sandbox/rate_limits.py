"""How many requests a server lets pass, in the two ways that are common: by the window, and by the bucket.

    sandbox.faults.rate_limit = FixedWindow(50, retry_after=1)
    sandbox.faults.rate_limit = TokenBucket(50, burst=10)

What does not pass is answered with HTTP 429 and not carried out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class FixedWindow:
    """So many requests in each window of time; the windows follow the clock, not the client."""

    requests: float
    seconds: float = 1.0
    retry_after: float | None = None  # seconds, told to those who are refused
    clock: Callable[[], float] = time.monotonic
    _window: float = -1.0
    _passed: int = 0

    def admits(self) -> bool:
        window = self.clock() // self.seconds
        if window != self._window:
            self._window, self._passed = window, 0
        if self._passed >= self.requests:
            return False
        self._passed += 1
        return True


@dataclass(slots=True)
class TokenBucket:
    """`rate` requests a second, and as many as `burst` at once after a rest."""

    rate: float
    burst: float
    retry_after: float | None = None  # seconds, told to those who are refused
    clock: Callable[[], float] = time.monotonic
    _spent: float = 0.0
    _at: float = 0.0

    def admits(self) -> bool:
        now = self.clock()
        self._spent = max(0.0, self._spent - (now - self._at) * self.rate)
        self._at = now
        if self._spent + 1 > self.burst:
            return False
        self._spent += 1
        return True


RateLimit = FixedWindow | TokenBucket
