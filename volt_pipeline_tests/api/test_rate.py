"""The learned rate: none before a refusal; then even spacing, a fast way back and slow trials."""

from __future__ import annotations

from itertools import pairwise

import pytest

from volt_pipeline.api.rate import SECOND, Rate


def refused_at(limit: int, cost: float = 0.0) -> Rate:
    """A rate after a refusal at 10 s, with so many requests accepted in the second before."""
    rate = Rate()
    for at in range(limit):
        rate.accepted(9.0 + (at + 1) / limit)
    rate.refused(10.0, cost)
    return rate


def test_nobody_waits_before_the_first_refusal() -> None:
    rate = Rate()
    assert [rate.reserve(1.0) for _ in range(1000)] == [1.0] * 1000


def test_what_was_accepted_is_the_limit_and_turns_are_spaced() -> None:
    rate = refused_at(100)
    assert rate.limit == 100
    assert rate.now(10.0) == pytest.approx(95)
    turns = [rate.reserve(10.0) for _ in range(5)]
    gaps = [later - earlier for earlier, later in pairwise(turns)]
    assert gaps == pytest.approx([1 / 95] * 4)


def test_a_single_refusal_out_of_nothing_does_not_stop_a_client() -> None:
    rate = Rate()
    rate.refused(0.0, 0.0)
    assert rate.now(0.0) == pytest.approx(9.5)


def test_the_rate_is_cut_once_a_second() -> None:
    rate = refused_at(100)
    for at in range(100):
        rate.accepted(10.0 + at / 1000)
    rate.refused(10.5, 0.0)
    assert rate.limit == 100


def test_it_never_falls_by_more_than_half() -> None:
    rate = refused_at(100)
    rate.refused(12.0, 0.0)
    assert rate.limit == pytest.approx(50, rel=0.1)


def used(rate: Rate, at: float, number: int) -> float:
    for each in range(number):
        rate.accepted(at - 1 + (each + 1) / number)
    return rate.now(at)


def test_a_known_limit_is_tried_seldom_and_more_so_if_refusals_are_dear() -> None:
    past: list[float] = []
    for cost in (0.0, 1.0):
        rate = refused_at(100, cost)
        used(rate, 20.0, 100)
        rate.refused(20.0, cost)
        limit = rate.limit or 0.0
        assert limit == pytest.approx(100, rel=0.1)
        past.append(next(second for second in range(1, 60) if used(rate, 20.0 + second, 100) > 1.01 * limit))
    assert past[0] >= 5
    assert past[1] >= 25


def test_where_refusals_are_dear_the_limit_is_passed_more_slowly() -> None:
    cheap, dear = (used(refused_at(100, cost), 20.0, 100) for cost in (0.0, 1.0))
    assert 100 < dear < cheap


@pytest.mark.parametrize(("cost", "most"), [(0.0, 1.0), (1.0, 0.975)])
def test_a_dear_refusal_below_the_limit_says_that_it_was_counted_too_high(cost: float, most: float) -> None:
    rate = refused_at(400, cost)
    at = 10.0 + SECOND  # soon it will be back at the limit
    before = used(rate, at, 400)
    assert before < 400
    rate.refused(at, cost)
    assert rate.limit == pytest.approx(before * most)


def test_past_the_limit_it_grows_ever_faster_but_never_past_twice_what_is_used() -> None:
    rate = refused_at(100)
    steps = [used(rate, 10.0 + second, 100) for second in range(1, 30)]
    assert steps == sorted(steps)
    assert steps[-1] == 200
    assert rate.now(60.0) == 100, "what is not used proves nothing"


def test_lateness_is_made_up_for_a_little() -> None:
    rate = refused_at(100)
    rate.reserve(10.0)
    turns = [rate.reserve(20.0) for _ in range(5)]
    assert turns[0] == turns[1] == 20.0
    assert turns[4] > 20.0
