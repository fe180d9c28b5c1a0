"""How many requests a second Volt allows, learned from its refusals: no clock of its own, no waiting.

Until Volt refuses for the first time there is no rate, and nothing waits. Then the limit is what Volt accepted in the
last second, and from then on requests leave evenly spaced, at first a little below it. The rate comes back to the
limit fast, then slowly, passes it slowly, then ever faster: the curve of TCP CUBIC (RFC 9438) and of the AWS SDKs'
adaptive mode. So most time is spent close to the limit, few refusals are met on the way past it, and a limit that was
guessed too low or has risen is found all the same.

A limit that was found twice is known, and its next trial can wait: longest where `Retry-After` makes a refusal cost a
pause. There the limit is passed more slowly, too, and a refusal on the way back to it means that it was counted too
high: a second of ours may reach over two of Volt's windows. The growth past the limit is the same for large and small
rates, and the cut is a share, so processes that share a token drift towards equal shares (additive increase,
multiplicative decrease).
"""

from __future__ import annotations

from collections import deque

SECOND = 1.0  # what was accepted is counted over so long, and the rate is cut at most once in it
CUT = 0.05  # the share that is given up where Volt refused
LEAST = 1.0  # requests a second; to ask more seldom is left to the pauses after refusals
FIRST = 10.0  # requests a second: no less is concluded from the first refusal
CLIMB = 0.4  # requests/s³: the growth past the limit, and the way back to it; as the AWS SDKs have it
HASTE = 3.0  # so many times faster after the first refusal, which may have come of a burst
CARE = 0.5  # and so many times as fast where refusals are dear: who passes the limit slowly sees where it is
KNOWN = 0.2  # found twice within this share of itself, or within KNOWN_LEAST, the limit is known
KNOWN_LEAST = 2.0  # requests a second
SHORTEST_WAY, LONGEST_WAY = 5.0, 60.0  # seconds of the way back to a known limit
PER_PAUSE = 40.0  # the same, as a multiple of the pause that a refusal costs
SLACK = 0.02  # seconds of lateness that later requests may make up for
MANY = 100  # times of answers that are kept before the old ones are dropped


class Rate:
    """Requests a second, spaced in time. All times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.limit: float | None = None  # where Volt refused, requests/s; None: never yet
        self._cut_at = float("-inf")
        self._speed = HASTE
        self._way = 0.0  # seconds from the cut back to the limit
        self._free_at = float("-inf")  # when the next request may leave
        self._accepted: deque[float] = deque()

    def now(self, now: float) -> float:
        """Requests a second at this time. Past the limit, no more than twice what is used: idleness proves nothing."""
        if self.limit is None:
            return float("inf")
        past = now - self._cut_at - self._way  # seconds past the limit; below nothing on the way back to it
        if past > 0:
            grown = self.limit + CLIMB * (self._speed * past) ** 3
        else:
            grown = self.limit * (1 + CUT * (past / self._way) ** 3)
        return max(LEAST, min(grown, max(self.limit, 2 * self._in_last_second(now))))

    def reserve(self, now: float) -> float:
        """When the next request may leave. Each caller has a time of its own."""
        if self.limit is None:
            return now
        leaves_at = max(self._free_at, now - SLACK)
        self._free_at = leaves_at + 1 / self.now(now)
        return max(leaves_at, now)

    def hold(self, until: float) -> None:
        """Nobody leaves before `until`; what was reserved for earlier is void."""
        self._free_at = max(self._free_at, until)

    def accepted(self, now: float) -> None:
        """Volt answered."""
        self._accepted.append(now)
        if len(self._accepted) > MANY:
            self._in_last_second(now)

    def refused(self, now: float, cost: float) -> None:
        """Volt refused and asked for a pause of `cost` seconds, 0 if it named none."""
        if now - self._cut_at < SECOND:
            return
        accepted = self._in_last_second(now)
        before = self.limit
        if before is None:
            self.limit = max(FIRST, accepted)
        else:
            rate = self.now(now)
            on_the_way = now - self._cut_at <= self._way
            most = rate * (1 - CUT / 2) if cost and on_the_way else rate
            self.limit = max(LEAST, min(max(accepted, rate / 2), most))
        self._speed = CARE if cost else 1.0 if before else HASTE
        self._way = (self.limit * CUT / CLIMB) ** (1 / 3) / self._speed
        if before is not None and abs(self.limit - before) <= max(KNOWN * before, KNOWN_LEAST):
            self._way = min(LONGEST_WAY, max(self._way, SHORTEST_WAY, PER_PAUSE * cost))
        self._cut_at = now
        self.hold(now)

    def _in_last_second(self, now: float) -> int:
        accepted = self._accepted
        while accepted and accepted[0] <= now - SECOND:
            accepted.popleft()
        return len(accepted)
