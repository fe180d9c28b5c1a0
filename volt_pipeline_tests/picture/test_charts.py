"""Axes, stacks and lines: what is drawn is what was given."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.picture.charts import (
    NARROW,
    WIDE,
    Bar,
    Series,
    bars,
    columns,
    label_positions,
    line,
    nice_ticks,
    spark,
)

_NUMBER = r"(-?[\d.]+)"


@given(st.integers(0, 10**7), st.integers(1, 10**7), st.integers(3, 8))
def test_ticks_are_few_round_and_cover_the_values(low: int, span: int, most: int) -> None:
    ticks = nice_ticks(low, low + span, most)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + step * 1e-6
    assert ticks[-1] >= low + span - step * 1e-6
    assert 2 <= len(ticks) <= most + 1
    assert any(
        math.isclose(step / 10 ** math.floor(math.log10(step) + 1e-9), factor, rel_tol=1e-3) for factor in (1, 2, 5)
    )


def test_ticks_of_nothing() -> None:
    assert nice_ticks(0, 0)[0] == 0
    assert nice_ticks(100, 100)[-1] >= 100


@given(st.integers(1, 400), st.sampled_from([WIDE, NARROW]))
def test_labels_are_at_most_eight_and_end_with_the_last(count: int, width: int) -> None:
    positions = label_positions(count, width)
    assert 1 <= len(positions) <= 8
    assert positions[-1] == count - 1
    assert len({after - before for before, after in pairwise(positions)}) <= 1


def _columns(chart: str, style: str) -> list[tuple[float, float, float]]:
    """(left edge, bottom, top) of the columns of a series."""
    (path,) = re.findall(rf'<path d="([^"]*)" class="fill {style}">', chart)
    found = re.findall(rf"M{_NUMBER} {_NUMBER}h{_NUMBER}V{_NUMBER}", path)
    return [(float(left), float(bottom), float(top)) for left, bottom, _, top in found]


def test_columns_are_stacked_from_zero_in_proportion() -> None:
    days = ["1 Jul", "2 Jul", "3 Jul"]
    chart = columns("x", "t", "a", days, [Series("in", "in", [10, 0, 5]), Series("out", "out", [30, 20, 0])], WIDE)
    lower, upper = _columns(chart, "in"), _columns(chart, "out")
    assert [len(lower), len(upper)] == [2, 2], "a day without texts has no column"
    baseline = lower[0][1]
    assert upper[1][1] == lower[1][1] == baseline
    assert upper[0][1] == lower[0][2], "out begins where in ends"
    heights = [bottom - top for _, bottom, top in (*lower, *upper)]
    assert [height / heights[0] for height in heights] == pytest.approx([1, 0.5, 3, 2], rel=0.02)
    assert ">in</text>" in chart
    assert ">out</text>" in chart


def test_a_line_is_broken_where_nothing_is_known() -> None:
    chart = line("x", "t", "a", list("abcde"), [95.0, None, 97.0, 99.0, None], WIDE)
    (path,) = re.findall(r'<path d="([^"]*)" class="stroke out">', chart)
    assert re.findall("[ML]", path) == ["M", "M", "L"]
    assert chart.count("<circle") == 3


def test_a_line_of_nothing_is_an_empty_chart() -> None:
    assert "<circle" not in line("x", "t", "a", ["a", "b"], [None, None], WIDE)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_bars_are_in_proportion_and_what_is_unknown_has_none(width: int) -> None:
    chart = bars("x", "t", "a", [Bar("a", 40, "40"), Bar("b", 10, "10"), Bar("c", None, "—"), Bar("d", 0, "0")], width)
    lengths = [float(length) for length in re.findall(rf'<rect [^>]*width="{_NUMBER}"', chart)]
    assert len(lengths) == 2
    assert lengths[0] / lengths[1] == pytest.approx(4, rel=0.01)


def test_names_are_escaped_in_a_chart() -> None:
    for chart in (
        bars("x", "<b>", "&", [Bar("<i>", 1, "1")], WIDE),
        spark("x", "<b>", [0, 5], [1, 2], 59),
        columns("x", "<b>", "&", ["<i>"], [Series("<u>", "in", [1])], WIDE),
    ):
        assert not re.search("<[biu]>", chart)


def test_a_spark_of_one_size_is_level() -> None:
    chart = spark("x", "t", [0, 59], [7, 7], 59)
    assert set(re.findall(rf"V{_NUMBER}", chart)) == {"12.0"}
