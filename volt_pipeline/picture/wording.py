"""Numbers, spans of time and rates in words. What is not known is a dash, never 0."""

from __future__ import annotations

from datetime import date, datetime

UNKNOWN = "—"
TOO_FEW = "not enough data"
_LONGEST_NAME = 60
ENOUGH = 5  # below that, a rate or a median says more about chance than about the store


def name(value: str | None) -> str:
    """What somebody named something, cut where it would fill the page."""
    if not value:
        return "(no name)"
    return value if len(value) <= _LONGEST_NAME else value[:_LONGEST_NAME].rstrip() + "…"


def number(value: int | None) -> str:
    """1234 → 1,234."""
    return UNKNOWN if value is None else f"{value:,}"


def plural(count: int, one: str, many: str = "") -> str:
    """(1, "text") → 1 text; (2, "text") → 2 texts."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def rate(part: int | None, whole: int | None, decimals: int = 1) -> str:
    """part / whole in percent; `TOO_FEW` where the denominator is too small. All and none are never rounded to."""
    if part is None or whole is None or whole < ENOUGH:
        return TOO_FEW
    percent = round(100 * part / whole, decimals)
    if 0 < part < whole and percent in (0, 100):
        return f"{'over' if percent else 'under'} {99.9 if percent else 0.1:.{decimals}f} %"
    return f"{percent:.{decimals}f} %"


def share(part: int | None, whole: int | None) -> str:
    """A rate beside what it is of: 94.5 % of 1,117; where that is too little for a rate, 2 of 3."""
    if part is None or whole is None:
        return UNKNOWN
    return f"{rate(part, whole)} of {whole:,}" if whole >= ENOUGH else f"{part:,} of {whole:,}"


def minutes(value: float | None) -> str:
    """12.4 → 12 min; 95 → 1 h 35 min; 4000 → 2 days 19 h."""
    if value is None:
        return UNKNOWN
    if value < 1:
        return "under 1 min"
    whole = round(value)
    if whole < 60:
        return f"{whole} min"
    hours, rest = divmod(whole, 60)
    if hours < 24:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(round(whole / 60), 24)
    return plural(days, "day") + (f" {hours} h" if hours else "")


def usd(value: float | None) -> str:
    """1234.5 → $1,234.50."""
    if value is None:
        return UNKNOWN
    return "under $0.01" if 0 < value < 0.01 else f"${value:,.2f}"


def usd_each(value: float | None) -> str:
    """What one of many costs: 0.0115 → $0.0115."""
    return UNKNOWN if value is None else f"${value:,.4f}"


def day(value: date | None) -> str:
    """2026-07-04 → 4 Jul 2026."""
    return UNKNOWN if value is None else f"{value.day} {value:%b %Y}"


def short_day(value: date) -> str:
    """2026-07-04 → 4 Jul."""
    return f"{value.day} {value:%b}"


def moment(value: datetime | None) -> str:
    """In UTC, to the minute."""
    return UNKNOWN if value is None else f"{value.day} {value:%b %Y, %H:%M} UTC"


def change(value: int, before: int | None) -> str:
    """How a figure stands against the one of the time before, of which None means that it is not known."""
    if before is None:
        return "no 30 days before to compare with"
    if before < ENOUGH:
        return f"{before:,} in the 30 days before"
    percent = round(100 * (value - before) / before)
    word = "the same as" if percent == 0 else f"{abs(percent):,} % {'more' if percent > 0 else 'fewer'} than"
    return f"{word} the {before:,} of the 30 days before"
