"""Intents to send, runs of sending against a sandbox, and what stands in the outbox and in Volt afterwards."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from volt_pipeline.api.client import VoltClient
from volt_pipeline.sandbox.entities import Contact
from volt_pipeline.sandbox.server import Sandbox
from volt_pipeline.sandbox.world import World
from volt_pipeline.send import SendReport, send
from volt_pipeline.sending.permission import Limits
from volt_pipeline_tests.syncing import client
from volt_pipeline_tests.warehouse.loading import ask

NOON = datetime(2026, 3, 4, 19, tzinfo=UTC)  # a Wednesday; 12 or 13 o'clock at everybody's in the sandbox's worlds
_KEYS = itertools.count(1)
_RUNS = itertools.count(1)
_MARTS = """
CREATE SCHEMA IF NOT EXISTS volt_marts;
CREATE SCHEMA IF NOT EXISTS volt_staging;
CREATE TABLE volt_marts.contacts (
    contact_id text, account_id text, contact_phone text, blocked boolean, consent text, can_text boolean
);
CREATE TABLE volt_marts.accounts (primary_phone text, time_zone text);
CREATE TABLE volt_staging.account_zones (account_phone text, time_zone text);
CREATE TABLE volt_staging.message_rates (direction text, channel text, usd_per_unit numeric);
INSERT INTO volt_staging.message_rates
VALUES ('outbound', 'sms', 0.01), ('outbound', 'mms', 0.03), ('inbound', 'sms', 1);
"""


@dataclass
class Hands:
    """A clock that the test moves; a world can be made to go by it."""

    at: datetime = NOON
    _ticks: Any = field(default_factory=lambda: itertools.count(1))

    def now(self) -> datetime:
        return self.at

    def pass_(self, **time: float) -> None:
        self.at += timedelta(**time)

    def rule(self, world: World) -> World:
        """The world's time is this clock's, a little later with each change."""
        world.clock = lambda: self.at + timedelta(microseconds=next(self._ticks))  # type: ignore[method-assign]
        return world


def at_noon(**settings: Any) -> World:
    """A small world of that noon, which was quiet for a while."""
    usual = {"seed": 1, "accounts": 2, "contacts": 12, "now": NOON - timedelta(hours=1), "conversation_page": 15}
    return World.create(**{**usual, **settings})


def known(url: str, world: World) -> None:
    """The warehouse as after a sync, as far as sending looks at it: accounts, and marts in which nobody is out."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_MARTS.encode())
        for account in world.accounts:
            connection.execute(
                "INSERT INTO volt.accounts (id, primary_phone) VALUES (%s, %s)", [account.id, account.primary_phone]
            )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO volt_marts.contacts VALUES (%s, %s, %s, %s, 'none', NOT %s)",
                [(c.id, c.account.id, c.phone_number, c.blocked, c.blocked) for c in world.contacts],
            )


def texted(world: World) -> list[Contact]:
    """People who may be texted: not blocked, no colleagues."""
    return [each for each in world.contacts if not each.blocked and world.ledger.colleague(each) is None]


def intend(url: str, contact: Contact | None = None, /, **values: Any) -> int:
    """Insert an intent as an analyst does; gives its id."""
    given: dict[str, Any] = {"intent_key": f"key-{next(_KEYS)}", "kind": "message", "body": "See you at noon"}
    if contact is not None:
        given |= {"account_phone": contact.account.primary_phone, "to_phone": contact.phone_number}
    given |= {"expires_at": NOON + timedelta(days=2), **values}
    statement = sql.SQL("INSERT INTO volt_ops.outbox ({}) VALUES ({}) RETURNING intent_id").format(
        sql.SQL(", ").join(map(sql.Identifier, given)), sql.SQL(", ").join(map(sql.Placeholder, given))
    )
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement, given).fetchone()
    assert row is not None
    return int(row[0])


async def sent(
    sandbox: Sandbox, url: str, clock: Hands, *, volt: VoltClient | None = None, **options: Any
) -> SendReport:
    """One run of sending, of all accounts, with one sender unless told otherwise."""
    phones = [account.primary_phone for account in sandbox.world.accounts]
    usual = {"run_id": f"send-{next(_RUNS)}", "enabled": True, "senders": 1, "now": clock.now}
    usual["limits"] = Limits(per_run=100_000, per_recipient=100_000)
    if volt is not None:
        return await send(volt, url, phones, **{**usual, **options})
    async with client(sandbox) as made:
        return await send(made, url, phones, **{**usual, **options})


def stands(url: str, intent_id: int) -> tuple[str, str | None]:
    """State and reason."""
    ((state, reason),) = ask(url, "SELECT state, reason FROM volt_ops.outbox WHERE intent_id = %s", intent_id)
    return state, reason


def states(url: str) -> Counter[str]:
    return Counter(dict(ask(url, "SELECT state, count(*) FROM volt_ops.outbox GROUP BY 1")))


def course(url: str, intent_id: int) -> list[str]:
    """The states that an intent went through."""
    asked = "SELECT to_state FROM volt_ops.outbox_events WHERE intent_id = %s ORDER BY event_id"
    return [state for (state,) in ask(url, asked, intent_id)]


def effects(sandbox: Sandbox, mutations: Collection[str] = ("createMessage",)) -> Counter[tuple[str, str]]:
    """What Volt really sent: how often each text went to each phone."""
    return Counter(
        (each.arguments["to"], each.arguments["body"]) for each in sandbox.world.effects if each.mutation in mutations
    )
