"""Numbers in words: nothing unknown is 0, no rate is without enough behind it."""

from __future__ import annotations

import pytest

from volt_pipeline.picture import wording
from volt_pipeline.picture.wording import TOO_FEW, UNKNOWN


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (1056, 1117, "94.5 %"),
        (0, 10, "0.0 %"),
        (10, 10, "100.0 %"),
        (99_999, 100_000, "over 99.9 %"),
        (1, 100_000, "under 0.1 %"),
        (0, 0, TOO_FEW),
        (2, 3, TOO_FEW),
        (None, 10, TOO_FEW),
        (3, None, TOO_FEW),
    ],
)
def test_rates(part: int | None, whole: int | None, shown: str) -> None:
    assert wording.rate(part, whole) == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(1056, 1117, "94.5 % of 1,117"), (2, 3, "2 of 3"), (0, 0, "0 of 0"), (None, 9, UNKNOWN), (1, None, UNKNOWN)],
)
def test_shares_stand_beside_what_they_are_of(part: int | None, whole: int | None, shown: str) -> None:
    assert wording.share(part, whole) == shown


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [
        (None, UNKNOWN),
        (0.2, "under 1 min"),
        (12.4, "12 min"),
        (59.6, "1 h"),
        (95, "1 h 35 min"),
        (1439.8, "1 day"),
        (2635, "1 day 20 h"),
        (2880, "2 days"),
    ],
)
def test_spans_of_time(minutes: float | None, shown: str) -> None:
    assert wording.minutes(minutes) == shown


def test_money() -> None:
    assert [wording.usd(value) for value in (None, 0.0, 0.004, 0.2975, 1234.5)] == [
        UNKNOWN,
        "$0.00",
        "under $0.01",
        "$0.30",
        "$1,234.50",
    ]


@pytest.mark.parametrize(
    ("value", "before", "shown"),
    [
        (14, None, "no 30 days before to compare with"),
        (14, 0, "0 in the 30 days before"),
        (14, 4, "4 in the 30 days before"),
        (15, 10, "50 % more than the 10 of the 30 days before"),
        (5, 10, "50 % fewer than the 10 of the 30 days before"),
        (10, 10, "the same as the 10 of the 30 days before"),
    ],
)
def test_changes(value: int, before: int | None, shown: str) -> None:
    assert wording.change(value, before) == shown
