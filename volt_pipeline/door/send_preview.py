"""What waiting intents would come to, before anything is sent: segments, recipients, their clock, the cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg

from volt_pipeline.door.console import headline, say, table
from volt_pipeline.door.send_desk import Row, ask, recipients
from volt_pipeline.send_record import intent_of
from volt_pipeline.sending.hours import local_time
from volt_pipeline.sending.intents import Intent
from volt_pipeline.sending.segments import cost, count
from volt_pipeline.settings import Settings
from volt_pipeline.workplace import warehouse

_UNBUILT = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)  # what dbt has not made yet


def show_preview(settings: Settings, most: int) -> bool:
    """What waiting intents would come to: segments, recipients, their clock, the cost. Asks nothing of Volt."""
    now = datetime.now(UTC)
    with warehouse(settings) as url:
        rows = ask(url, "outbox_open", states=["queued", "held"], most=most)
        rates = {row["channel"]: row["usd_per_unit"] for row in _built(url, "outbox_rates")}
        zones = {phone: _zone(url, phone) for phone in {row["account_phone"] for row in rows}}
    if not rows:
        say("Nothing is waiting in the outbox.")
        return True
    shown = [(row, intent_of(row)) for row in rows]
    headline("What waits in the outbox")
    table(
        ("id", "kind", "to", "as", "segments", "in", "local time", "USD", "state", "why"),
        [_previewed(row, intent, rates, zones[intent.account_phone], now) for row, intent in shown],
    )
    _sum(shown, rates)
    return True


def _zone(url: str, account_phone: str) -> str | None:
    found = _built(url, "outbox_zone", account_phone=account_phone) or _built(
        url, "outbox_default_zone", account_phone=account_phone
    )
    return found[0]["time_zone"] if found else None


def _previewed(
    row: Row, intent: Intent, rates: dict[str, Decimal], zone: str | None, now: datetime
) -> tuple[object, ...]:
    counted = count(intent.body, len(intent.media))
    many = _most_recipients(row, intent)
    price = None if many is None else cost(counted, many, rates)
    phone = intent.recipients[0] if intent.recipients else None
    return (
        str(intent.intent_id),
        intent.kind,
        recipients(intent),
        _as(row, intent),
        counted.segments,
        counted.encoding.removeprefix("sms_"),
        local_time(intent.scheduled_at or now, phone, zone),
        "" if price is None else f"{price:.4f}",
        row["state"],
        row["reason"] or "",
    )


def _as(row: Row, intent: Intent) -> str:
    if intent.kind != "wave":
        return "text"
    approved = row["approved_size"]
    return "draft" if approved is None else f"scheduled, up to {approved:,}"


def _most_recipients(row: Row, intent: Intent) -> int | None:
    """How many it reaches at most; None of a wave that nobody has approved."""
    return row["approved_size"] if intent.kind == "wave" else len(intent.recipients)


def _sum(shown: Sequence[tuple[Row, Intent]], rates: dict[str, Decimal]) -> None:
    total = Decimal(0)
    for row, intent in shown:
        many = _most_recipients(row, intent)
        total += (many and cost(count(intent.body, len(intent.media)), many, rates)) or Decimal(0)
    priced = f"{total:.4f} USD" if rates else "unknown: the seed message_rates is not built (volt-pipeline sync)"
    say(f"\n{len(shown):,} intents; the cost of all, waves at their approved size, is about {priced}.")


def _built(url: str, name: str, **parameters: Any) -> list[Row]:
    try:
        return ask(url, name, **parameters)
    except _UNBUILT:
        return []
