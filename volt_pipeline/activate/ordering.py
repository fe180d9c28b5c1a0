"""The order of rows that build on each other: a list after its source. A circle of them is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from volt_pipeline.activate.rows import Export, Row, Target, Wish


def ordered(kind: Export[Wish], rows: Sequence[Row[Wish]]) -> list[Row[Wish]]:
    """The rows, each after the one that it needs; those of a circle, and what builds on it, are refused."""
    needed = {row.target: kind.needs(row.wish) for row in rows if row.wish is not None}
    depths = {target: _depth(target, needed) for target in needed}
    reason = "its source list builds on itself, directly or through others; name another source"
    placed = [
        replace(row, wish=None, settled="refused", reason=reason)
        if row.wish is not None and depths[row.target] is None
        else row
        for row in rows
    ]
    return sorted(placed, key=lambda row: depths.get(row.target) or 0)  # stable: otherwise the export's order


def _depth(target: Target, needed: dict[Target, Target | None]) -> int | None:
    """How many of the export's rows stand below it; None in a circle."""
    depth, seen = 0, {target}
    current = needed.get(target)
    while current is not None and current in needed:
        if current in seen:
            return None
        seen.add(current)
        depth, current = depth + 1, needed[current]
    return depth
