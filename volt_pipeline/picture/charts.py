"""Charts as inline SVG: columns, bars, a line, a spark. Colours come from the page's stylesheet by class.

Each chart is drawn for a width in pixels, so that its letters are as large as the page's on a desk and on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from volt_pipeline.picture.markup import Markup, Part, element, join

WIDE, NARROW = 720, 328
_HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 220, 12, 26, 44, 64
_MOST_LABELS = 8
_ROW = 26


@dataclass(frozen=True)
class Series:
    """Values of one kind: `name` is written beside them, `style` is their class in the stylesheet."""

    name: str
    style: str
    values: Sequence[float]


@dataclass(frozen=True)
class Bar:
    """A horizontal bar; `label` on its left, `figure` at its end. Without a value nothing is drawn."""

    label: str
    value: float | None
    figure: str


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values from at or below `low` to at or above `high`, in steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-9)
    exponent = math.floor(math.log10(span / (most - 1)))
    steps = (factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5))
    for step in steps:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first + 1 <= most:
            break
    return [tick * step for tick in range(first, max(last, first + 1) + 1)]


def label_positions(count: int, width: int, least: int = 56) -> list[int]:
    """Which of `count` places on the x-axis get a label: the last one, and evenly back from there."""
    most = max(1, min(_MOST_LABELS, (width - _LEFT - _RIGHT) // least))
    step = max(1, math.ceil(count / most))
    return list(range(count - 1, -1, -step))[::-1]


def columns(name: str, title: str, about: str, labels: Sequence[str], series: Sequence[Series], width: int) -> Markup:
    """Stacked columns from zero, the first series at the bottom; each series is named beside the last columns."""
    plot, count = width - _LEFT - _RIGHT, len(labels)
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    ticks = [tick for tick in nice_ticks(0, max([*totals, 1])) if tick == int(tick)]
    scale = _scale(ticks)
    pitch = min(plot / count, 40)
    left = _LEFT + plot - pitch * count
    parts: list[Part] = [_grid(ticks, scale, width), _labels(labels, width, lambda at: left + (at + 0.5) * pitch)]
    base = [0.0] * count
    for one in series:
        path = []
        for at, value in enumerate(one.values):
            if value:
                x, low, high = left + at * pitch, scale(base[at]), scale(base[at] + value)
                path.append(f"M{x + pitch * 0.1:.1f} {low:.1f}h{pitch * 0.8:.1f}V{high:.1f}h{-pitch * 0.8:.1f}z")
            base[at] += value
        parts.append(element("path", d="".join(path), class_=f"fill {one.style}"))
    parts.append(_names([one for one in series if any(one.values)], scale, width))
    return _svg(name, title, about, width, _HEIGHT, parts)


def line(
    name: str, title: str, about: str, labels: Sequence[str], values: Sequence[float | None], width: int
) -> Markup:
    """A line of percentages; it is broken where a value is None. The axis need not begin at 0."""
    known = [value for value in values if value is not None]
    ticks = nice_ticks(min([*known, 90]), 100)
    scale = _scale(ticks)
    pitch = (width - _LEFT - _RIGHT) / max(len(values) - 1, 1)
    points = [(_LEFT + at * pitch, scale(value), value) for at, value in enumerate(values) if value is not None]
    path, broken = [], True
    for at, value in enumerate(values):
        if value is not None:
            path.append(f"{'M' if broken else 'L'}{_LEFT + at * pitch:.1f} {scale(value):.1f}")
        broken = value is None
    parts: list[Part] = [
        _grid(ticks, scale, width, " %"),
        _labels(labels, width, lambda at: _LEFT + at * pitch),
        element("path", d="".join(path), class_="stroke out"),
        *(element("circle", cx=x, cy=y, r=2.5, class_="fill out") for x, y, _ in points),
    ]
    if points:
        x, y, value = points[-1]
        parts.append(element("text", f"{value:.1f} %", x=x + 8, y=y + 4, class_="name out"))
    return _svg(name, title, about, width, _HEIGHT, parts)


def bars(name: str, title: str, about: str, rows: Sequence[Bar], width: int, style: str = "in") -> Markup:
    """Horizontal bars from zero, each with its label above it on a phone and beside it on a desk."""
    beside = width >= WIDE
    start, row = (190 if beside else 0), (_ROW if beside else 2 * _ROW - 8)
    figures = 8 * max([len(bar.figure) for bar in rows] + [4]) + 8
    longest = max([bar.value or 0 for bar in rows] + [1e-9])
    parts: list[Part] = []
    for at, bar in enumerate(rows):
        y = at * row + (0 if beside else 18)
        length = (width - start - figures) * (bar.value or 0) / longest
        place = {"x": start - 8.0, "y": y + 15.0} if beside else {"x": 0.0, "y": y - 4.0}
        room = start - 24.0 if beside else width - 16.0
        parts.append(
            element("text", _cut(bar.label, room), text_anchor="end" if beside else None, class_="label", **place)
        )
        if bar.value:
            parts.append(element("rect", x=start, y=y + 2, width=max(length, 1.0), height=16, class_=f"fill {style}"))
        parts.append(element("text", bar.figure, x=start + length + 6, y=y + 15, class_="figure"))
    return _svg(name, title, about, width, max(len(rows), 1) * row + 4, parts)


def spark(name: str, title: str, offsets: Sequence[int], values: Sequence[float], span: int) -> Markup:
    """A small step line without axes: a value holds until the next one is seen, and to the end."""
    width, height, low, high = 120, 24, min(values), max(values)
    x = [offset / span * (width - 6) + 2 for offset in offsets]
    y = [height / 2 if high == low else height - 4 - (value - low) / (high - low) * (height - 8) for value in values]
    path = f"M{x[0]:.1f} {y[0]:.1f}" + "".join(f"H{a:.1f}V{b:.1f}" for a, b in zip(x[1:], y[1:], strict=True))
    parts: list[Part] = [
        element("path", d=f"{path}H{width - 4}", class_="stroke in"),
        element("circle", cx=width - 4, cy=y[-1], r=2.5, class_="fill in"),
    ]
    return _svg(name, title, "", width, height, parts, "spark")


def _scale(ticks: Sequence[float]) -> Callable[[float], float]:
    low, high = ticks[0], ticks[-1]
    room = _HEIGHT - _TOP - _BOTTOM
    return lambda value: _TOP + room * (1 - (value - low) / (high - low))


def _grid(ticks: Sequence[float], scale: Callable[[float], float], width: int, unit: str = "") -> Markup:
    return join(
        *(
            join(
                element("line", x1=_LEFT, x2=width - _RIGHT, y1=scale(tick), y2=scale(tick), class_="grid"),
                element("text", f"{_short(tick)}{unit}", x=_LEFT - 6, y=scale(tick) + 4, class_="axis end"),
            )
            for tick in ticks
        )
    )


def _labels(labels: Sequence[str], width: int, place: Callable[[int], float]) -> Markup:
    return join(
        *(
            element("text", labels[at], x=place(at), y=_HEIGHT - 6, text_anchor="middle", class_="axis")
            for at in label_positions(len(labels), width)
        )
    )


def _names(series: Sequence[Series], scale: Callable[[float], float], width: int) -> Markup:
    """The series' names on the right, at the height of their part of the last columns, and not on one another."""
    base, lowest, parts = 0.0, scale(0) + 4, []
    for one in series:
        part = sum(one.values[-7:]) / len(one.values[-7:])
        y = min(scale(base + part / 2) + 4, lowest)
        parts.append(element("text", one.name, x=width - _RIGHT + 8, y=y, class_=f"name {one.style}"))
        base, lowest = base + part, y - 15
    return join(*parts)


def _short(value: float) -> str:
    """250000 → 250k: what stands on an axis has little room."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.10g}{letter}"
    return f"{value:,.10g}"


def _cut(label: str, room: float) -> str:
    """The label, or as much of it as fits into so many pixels; letters are taken for rather wide ones."""
    width = 0.0
    for at, letter in enumerate(label):
        width += 4.5 if letter in " iljtf.,:;|!'()[]" else 13 if letter in "MWmw@%…" or letter > "ɏ" else 10
        if width > room:
            return label[:at].rstrip() + "…"
    return label


def _svg(
    name: str, title: str, about: str, width: int, height: int, parts: Sequence[Part], kind: str = "chart"
) -> Markup:
    key = f"{name}-{width}"
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", about, id=f"{key}-about") if about else None,
        *parts,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{key}-title" + (f" {key}-about" if about else ""),
        class_=kind,
    )
