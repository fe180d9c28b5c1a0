"""The pace of a whole client, in simulated time, against servers that allow so many requests a second."""

from __future__ import annotations

import asyncio

import pytest

from volt_pipeline.api.errors import RateLimited
from volt_pipeline.api.pacing import Clock, Pacing
from volt_pipeline.sandbox.rate_limits import FixedWindow, RateLimit, TokenBucket

from .scripted import Hands
from .simulated import Reader, now, reading, simulate

SECONDS, SETTLED = 40.0, 10.0


def limits(rate: int) -> dict[str, RateLimit]:
    return {
        "window": FixedWindow(rate, clock=now),
        "window, Retry-After": FixedWindow(rate, retry_after=1, clock=now),
        "bucket": TokenBucket(rate, rate, clock=now),
        "small bucket": TokenBucket(rate, rate / 10, clock=now),
        "bucket, Retry-After": TokenBucket(rate, rate, retry_after=1, clock=now),
    }


@pytest.mark.parametrize("latency", [0.005, 0.05])
@pytest.mark.parametrize("rate", [50, 200])
@pytest.mark.parametrize("limit", limits(1))
def test_a_rate_limit_is_found_and_kept(limit: str, rate: int, latency: float) -> None:
    reader = reading(limits(rate)[limit], SECONDS, latency=latency)
    assert 0.9 * rate <= reader.rate(SETTLED, SECONDS) <= rate * (1 + 1 / (SECONDS - SETTLED))  # and a full bucket
    assert reader.refusals(SETTLED) < 0.02
    assert len(reader.refused) - sum(at >= SETTLED for at in reader.refused) < 0.1 * SETTLED * rate + 50, "no storm"


def test_a_limit_that_rises_is_found() -> None:
    limit = FixedWindow(50, clock=now)
    reader = Reader(limit.admits)

    async def work() -> None:
        reading_ = asyncio.ensure_future(reader.read(60.0))
        await asyncio.sleep(20.0)
        limit.requests = 200
        await reading_

    simulate(work)
    assert 45 <= reader.rate(10.0, 20.0) <= 50
    assert 180 <= reader.rate(40.0, 60.0) <= 200


def test_two_processes_share_what_there_is() -> None:
    limit = FixedWindow(200, clock=now)
    first, second = Reader(limit.admits, seed=1), Reader(limit.admits, seed=2)

    async def late() -> None:
        await asyncio.sleep(5.0)
        await second.read(90.0)

    async def work() -> None:
        await asyncio.gather(first.read(90.0), late())

    simulate(work)
    shares = [each.rate(40.0, 90.0) for each in (first, second)]
    assert 0.9 * 200 <= sum(shares) <= 200
    assert min(shares) >= 0.25 * sum(shares)
    assert max(first.refusals(10.0), second.refusals(10.0)) < 0.04


def test_without_a_limit_the_cap_is_reached_soon_and_kept() -> None:
    reader = Reader(lambda: True, latency=0.05)
    simulate(lambda: reader.read(1.0))
    assert reader.most_aloft == 32
    assert reader.rate(0.5, 1.0) >= 0.95 * 32 / 0.05, "after half a second at the latest"
    assert reader.refused == []


@pytest.mark.parametrize("cap", [1, 3, 100])
def test_nobody_exceeds_the_cap(cap: int) -> None:
    reader = Reader(lambda: True, cap=cap, crowd=200)
    simulate(lambda: reader.read(3.0))
    assert reader.most_aloft == cap


def test_where_nobody_asks_much_little_is_in_flight() -> None:
    reader = Reader(lambda: True, crowd=3)
    simulate(lambda: reader.read(3.0))
    assert reader.pacing.flight.limit == 8


async def test_a_turn_that_comes_late_is_no_reason_to_give_up() -> None:
    hands = Hands()
    pacing = Pacing(4, hands.clock)
    pacing.rate.limit = 1.0
    await pacing.ready("message", 0.5)
    await pacing.ready("message", 0.5)
    assert sum(hands.slept) == pytest.approx(1.0, abs=0.05)
    pacing.pause(2.0)
    with pytest.raises(RateLimited, match="left alone for 2 s"):
        await pacing.ready("message", 0.5)


async def test_refusals_that_name_no_time_are_followed_by_ever_longer_silence() -> None:
    hands = Hands()
    pacing = Pacing(4, hands.clock)
    for _ in range(8):
        await pacing.ready("message", 60.0)
        left_at = pacing.left()
        refusal = RateLimited("message", "slow down", whole=True)
        pacing.returned("message", left_at, status=429, size=0, failures=[refusal])
    assert hands.slept == pytest.approx([0.075, 0.15, 0.3, 0.6, 1.2, 2.4, 3.0])


async def test_a_request_that_was_given_up_leaves_no_trace() -> None:
    pacing = Pacing(4, Clock())
    for _ in range(20):
        pacing.returned("message", pacing.left(), status=0, size=0, failures=None)
    for _ in range(8):
        left_at = pacing.left()
        pacing.returned("message", left_at, status=200, size=9, failures=())
    assert pacing.flight.limit == 4
