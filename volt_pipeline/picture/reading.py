"""Asking the warehouse for the figures: one read-only snapshot, so that no two figures of a page disagree.

A mart that is not built (or is older than this page) costs its sections, not the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row

from volt_pipeline.picture import figures
from volt_pipeline.picture.figures import Picture

Row = TypeVar("Row")
Section = TypeVar("Section")

WAVES_SHOWN = 15
LISTS_SHOWN = 12
_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
# What might be a phone number in the words of Volt or of a push: 7 digits or more, with what people put between them.
_NUMBER = r"\+?\(?\d(?:[ ().-]{0,2}\d){6,}"


@cache
def _statements() -> dict[str, str]:
    parts = _NAME.split(Path(__file__).with_name("figures.sql").read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


@dataclass(frozen=True)
class _Asker:
    """Runs the named statements of figures.sql, with what they all may need."""

    connection: psycopg.Connection[Any]
    now: datetime

    def rows(self, row: type[Row], name: str, **parameters: Any) -> list[Row]:
        given = {"now": self.now, "number": _NUMBER, **parameters}
        with self.connection.cursor(row_factory=class_row(row)) as cursor:
            return cursor.execute(_statements()[name], given).fetchall()

    def one(self, row: type[Row], name: str, **parameters: Any) -> Row:
        (found,) = self.rows(row, name, **parameters)
        return found

    def plain(self, name: str, **parameters: Any) -> Any:
        return self.connection.execute(_statements()[name], {"now": self.now, **parameters}).fetchone()

    def section(self, read: Callable[[_Asker], Section]) -> Section | None:
        """What `read` gives; None where a mart that it needs is not there."""
        try:
            with self.connection.transaction():
                return read(self)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName):
            return None


def read(connection: psycopg.Connection[Any], now: datetime) -> Picture:
    """All figures as of `now`. The connection must be fresh: it is set to read, in UTC, and is left so."""
    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with connection.transaction():
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        ask = _Asker(connection, now)
        return Picture(
            made_at=now,
            trust=_trust(ask),
            traffic=ask.section(_traffic),
            delivery=ask.section(_delivery),
            answers=ask.section(_answers),
            waves=ask.section(_waves),
            consent=ask.section(_consent),
            lists=ask.section(_lists),
            pushed=ask.section(lambda ask: ask.rows(figures.Pushed, "last_push")),
        )


def _period(ask: _Asker) -> tuple[date, date | None]:
    today, first_day = ask.plain("period")
    return today, first_day


def _traffic(ask: _Asker) -> figures.Traffic:
    today, first_day = _period(ask)
    return figures.Traffic(
        today,
        first_day,
        ask.rows(figures.AccountMonth, "account_months"),
        ask.rows(figures.Day, "days", today=today),
        ask.rows(figures.Month, "months"),
    )


def _delivery(ask: _Asker) -> figures.Delivery:
    today, _ = _period(ask)
    return figures.Delivery(
        ask.rows(figures.DeliveryWeek, "delivery_weeks", today=today),
        ask.rows(figures.Failure, "failures"),
        ask.rows(figures.Cost, "costs"),
    )


def _answers(ask: _Asker) -> figures.Answers:
    return figures.Answers(
        ask.rows(figures.Response, "responses"),
        ask.rows(figures.Step, "response_spread"),
        ask.rows(figures.Waiting, "waiting"),
    )


def _waves(ask: _Asker) -> figures.Waves:
    return figures.Waves(ask.rows(figures.Wave, "waves", limit=WAVES_SHOWN), ask.one(figures.WaveTotals, "wave_totals"))


def _consent(ask: _Asker) -> figures.Consent:
    today, _ = _period(ask)
    return figures.Consent(
        ask.one(figures.ConsentNow, "consent_now"),
        ask.one(figures.ConsentChanges, "consent_changes"),
        ask.rows(figures.ConsentWeek, "consent_weeks", today=today),
    )


def _lists(ask: _Asker) -> figures.Lists:
    today, _ = _period(ask)
    (count,) = ask.plain("list_count")
    return figures.Lists(ask.rows(figures.ListSize, "lists", today=today, limit=LISTS_SHOWN), count)


def _trust(ask: _Asker) -> figures.Trust:
    found = ask.rows(figures.LastSync, "last_sync")
    return figures.Trust(
        ask.rows(figures.Coverage, "coverage"), ask.rows(figures.Reject, "rejects"), found[0] if found else None
    )
