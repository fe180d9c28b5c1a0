"""How many requests may be in flight: no clock of its own, no waiting.

Additive increase, multiplicative decrease, under a cap. Requests are judged in rounds: a round counts only what left
since the last change, and ends after twice as many answers as may be in flight. After each the number grows, if it was
really used: it doubles until something goes wrong for the first time, and grows by a little from then on. A refusal
halves it at once, but once a round trip: what left before a cut tells nothing about the new number. A round in which a
quarter brought no answer halves it too, but not below START, since a few bad items may be the reason.

Latency is judged as throughput (Little's law: in flight / latency). When there was growth by half or more, and the
answers took so much longer that hardly any throughput was won, the growth is undone and not tried again for a while;
when answers take twice as long with no more in flight, a quarter of the number is given up. An answer is compared only
with the mean of its own kind, the same operation and the same order of size, so that large pages do not look like
trouble.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

START = 8  # latency and errors leave no less, and are not judged by so few; refusals do
ROUND = 8  # the fewest answers that are judged together
MORE = 2  # added after a good round
USED = 0.75  # growth asks for so much of the number to be taken
STEP = 1.5  # growth is judged when it has come so far
WORTH = 0.08  # the least share of its growth that it must bring in throughput
SLOWER = 2.0  # so many times slower, with no more in flight: others crowd Volt
HOLD = 10.0  # seconds without growth after some that was of no use
MEMORY = 0.8  # weight of what is known of a kind's latency beside a new round

Kind = tuple[str, int]  # operation, binary order of magnitude of the answer's bytes


@dataclass(slots=True)
class Round:
    """What came back of the requests that left since then."""

    since: float = float("-inf")
    answers: int = 0
    silences: int = 0  # requests without a usable answer
    crowd: int = 0  # the most requests in flight
    taken: int = 0  # the most slots taken: by those in flight, waiting for their turn or backing off
    latency: dict[Kind, tuple[int, float]] = field(default_factory=dict)  # answers, and their seconds

    def means(self) -> dict[Kind, float]:
        return {kind: seconds / count for kind, (count, seconds) in self.latency.items()}

    def slowness(self, means: Mapping[Kind, float]) -> float:
        """How many times as long as `means` the answers took, of the kinds that stand there; 1 if none does."""
        common = [(count, seconds, means[kind]) for kind, (count, seconds) in self.latency.items() if kind in means]
        expected = sum(count * mean for count, _, mean in common)
        return sum(seconds for _, seconds, _ in common) / expected if expected else 1.0


class Flight:
    """The requests in flight, and the most that there may be. Times are seconds of one monotonic clock."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.limit = min(START, cap)
        self._aloft = 0
        self._eager = True  # nothing went wrong yet
        self._cut_at = float("-inf")
        self._held_until = float("-inf")
        self._round = Round()
        self._crowd = 0  # the number in flight that latencies are compared with, and what they were then
        self._means: dict[Kind, float] = {}

    def left(self) -> None:
        """A request was sent."""
        self._aloft += 1

    def answered(self, kind: Kind, left_at: float, now: float, taken: int) -> None:
        """A usable answer came, be it an error of Volt's, while so many slots were taken."""
        current = self._round
        if left_at >= current.since:
            count, seconds = current.latency.get(kind, (0, 0.0))
            current.latency[kind] = count + 1, seconds + now - left_at
            current.answers += 1
            current.crowd = max(current.crowd, self._aloft)
            current.taken = max(current.taken, taken)
            self._judge(now)
        self._aloft -= 1

    def unanswered(self, left_at: float, now: float, *, overloaded: bool) -> None:
        """No usable answer came: the connection was lost, time ran out, or HTTP 5xx; 503 says `overloaded`."""
        self._aloft -= 1
        if overloaded and left_at >= self._cut_at:
            self._cut(self._less(0.5), now)
        elif left_at >= self._round.since:
            self._round.silences += 1
            self._judge(now)

    def refused(self, left_at: float, now: float) -> bool:
        """Volt asked to slow down; False when that was known already, from another request of the same round trip."""
        self._aloft -= 1
        if left_at < self._cut_at:
            return False
        self._cut(max(1, self.limit // 2), now)
        return True

    def forgotten(self) -> None:
        """Nobody waited for the answer."""
        self._aloft -= 1

    def _judge(self, now: float) -> None:
        """At the end of a round: whether there may be more, or must be less."""
        seen = self._round
        returns = seen.answers + seen.silences
        if returns < max(ROUND, 2 * self.limit):
            return
        self._round = Round(now)
        if seen.silences * 4 >= returns:
            self._cut(self._less(0.5), now)
            return
        crowd = seen.crowd
        grown, slowness = crowd / (self._crowd or crowd), seen.slowness(self._means)
        if self.limit > START and grown >= STEP and grown < (1 + WORTH * (grown - 1)) * slowness:
            self.limit = min(self.limit, max(START, int(self._crowd * max(1.0, grown / slowness))))
            self._eager, self._held_until = False, now + HOLD
            return
        if grown < STEP and slowness > SLOWER:
            self._cut(self._less(0.75), now)
        elif seen.taken >= USED * self.limit and now >= self._held_until:
            self.limit = min(self.cap, self.limit * 2 if self._eager else self.limit + MORE)
        self._learn(crowd, seen.means(), afresh=not 1 / STEP < grown < STEP)

    def _learn(self, crowd: int, means: Mapping[Kind, float], *, afresh: bool) -> None:
        """Remember the latencies at this crowd; while it stays the same, old ones weigh more than new ones."""
        if afresh or not self._crowd:
            self._crowd = crowd
            self._means.update(means)
            return
        for kind, mean in means.items():
            self._means[kind] = MEMORY * self._means.get(kind, mean) + (1 - MEMORY) * mean

    def _less(self, share: float) -> int:
        return min(self.limit, max(START, int(share * self.limit)))

    def _cut(self, limit: int, now: float) -> None:
        self.limit = limit
        self._eager, self._cut_at = False, now
        self._round, self._crowd = Round(now), 0
