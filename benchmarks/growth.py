"""How a sync grows: time and memory from 50,000 to 5,000,000 messages, and from 1 to 200 accounts; drawn as a picture.

    .venv/bin/python benchmarks/growth.py [--messages 50000 500000 5000000] [--accounts 1 10 50 200]
        [--picture docs/growth.svg]

The accounts share 500,000 messages. Each run has a database and a process of its own, like those of `sync.py`; a second
sync follows, with 1 % of the conversations moved.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sync import alone, database, tell
from volt_server import Size, serving

from volt_pipeline.warehouse.embedded import EmbeddedPostgres, throwaway_home

MESSAGES = 25  # of a conversation
SHARED = 500_000  # messages that the accounts share


@dataclass(frozen=True)
class Run:
    """A first sync, and the second one."""

    at: int  # messages, or accounts
    seconds: float
    memory: float  # MB, the client's peak
    again: float  # seconds


def measure(server: str, size: Size, at: int) -> Run:
    with serving(size, 0) as api:
        url = database(server, "growth")
        first = alone("ours", api, url, size.phones)
        tell(api, "move?share=0.01")
        second = alone("ours", api, url, size.phones)
    run = Run(at, first["seconds"], first["memory"], second["seconds"])
    print(f"{at:>9,}  first {run.seconds:7.2f} s  {run.memory:4.0f} MB  second {run.again:5.2f} s", flush=True)
    return run


# -- the picture: two scales of powers of ten, so that what is linear is a straight line that climbs like the dotted one

_WIDTH, _HEIGHT, _LEFT, _TOP = 300, 240, 54, 40
_INK, _GUIDE, _GRID = "#3566b8", "#888888", "#88888844"


def draw(by_messages: Sequence[Run], by_accounts: Sequence[Run]) -> str:
    """The picture as SVG: time by messages, memory by messages, time by accounts."""
    panels = [
        _panel("First sync, seconds by messages", by_messages, lambda run: run.seconds, guide=True),
        _panel("Second sync, 1 % moved, seconds by messages", by_messages, lambda run: run.again, guide=True),
        _panel("Memory of the client, MB by messages", by_messages, lambda run: run.memory),
        _panel("First sync of 500,000 messages, seconds by accounts", by_accounts, lambda run: run.seconds),
    ]
    across, down = _WIDTH + _LEFT + 40, _HEIGHT + _TOP + 40
    body = "".join(
        f'<g transform="translate({_LEFT + (at % 2) * across} {_TOP + (at // 2) * down})">{panel}</g>'
        for at, panel in enumerate(panels)
    )
    width, height = 2 * across, 2 * down
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{width}" height="{height}" fill="#ffffff"/>{body}</svg>\n'
    )


def _panel(title: str, runs: Sequence[Run], value: Callable[[Run], float], *, guide: bool = False) -> str:
    linear = value(runs[0]) * runs[-1].at / runs[0].at
    across = _decades([run.at for run in runs])
    up = _decades([*(value(run) for run in runs), *([linear] if guide else [])])

    def place(at: float, height: float) -> tuple[float, float]:
        x = (math.log10(at) - across[0]) / (across[1] - across[0]) * _WIDTH
        y = _HEIGHT - (math.log10(height) - up[0]) / (up[1] - up[0]) * _HEIGHT
        return round(x, 1), round(y, 1)

    parts = [f'<text x="0" y="-14" font-weight="bold">{escape(title)}</text>']
    for power in range(up[0], up[1] + 1):
        _, y = place(10 ** across[0], 10**power)
        parts.append(f'<path d="M0 {y}H{_WIDTH}" stroke="{_GRID}"/>')
        parts.append(f'<text x="-6" y="{y + 4}" text-anchor="end" fill="{_GUIDE}">{_said(10**power)}</text>')
    if guide:
        (x, y), (far, high) = place(runs[0].at, value(runs[0])), place(runs[-1].at, linear)
        parts.append(f'<path d="M{x} {y}L{far} {high}" stroke="{_GUIDE}" stroke-dasharray="2 3"/>')
    points = [place(run.at, value(run)) for run in runs]
    parts.append(f'<path d="M{"L".join(f"{x} {y}" for x, y in points)}" fill="none" stroke="{_INK}" stroke-width="2"/>')
    for run, (x, y) in zip(runs, points, strict=True):
        parts.append(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{_INK}"/>')
        parts.append(f'<text x="{x}" y="{y - 8}" text-anchor="middle">{_said(value(run))}</text>')
        parts.append(f'<text x="{x}" y="{_HEIGHT + 18}" text-anchor="middle" fill="{_GUIDE}">{_said(run.at)}</text>')
    return "".join(parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _said(value: float) -> str:
    for size, unit in ((1_000_000, " M"), (1_000, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, nargs="+", default=[50_000, 500_000, 5_000_000])
    parser.add_argument("--accounts", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--picture", type=Path, default=Path(__file__).parents[1] / "docs" / "growth.svg")
    given = parser.parse_args()
    with throwaway_home() as home, EmbeddedPostgres(home).running() as server:
        print("messages, 4 accounts", flush=True)
        by_messages = [measure(server, Size(4, at // MESSAGES, MESSAGES), at) for at in given.messages]
        print(f"accounts, {SHARED:,} messages", flush=True)
        by_accounts = [measure(server, Size(at, SHARED // MESSAGES, MESSAGES), at) for at in given.accounts]
    given.picture.write_text(draw(by_messages, by_accounts))
    print(f"drawn: {given.picture}")


if __name__ == "__main__":
    main()
