"""Syncs of a sandbox's world into a warehouse, and what of the world must stand there afterwards."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.pacing import Clock
from volt_pipeline.extract.rows import unescape
from volt_pipeline.report import SyncReport
from volt_pipeline.sandbox.server import Sandbox
from volt_pipeline.sandbox.world import World
from volt_pipeline.sync import sync
from volt_pipeline_tests.warehouse.loading import ask

MESSAGE = (
    "legacy_id account_id organization_id to_number from_number status status_description media body sent_at "
    "confirmed_at wave_id contact_id"
)
CONTACT = "account_id phone_number name mapped_number custom_fields blocked created_at last_updated_at"
WAVE = "name account_id body media total_messages total_messages_delivered total_messages_failed type"
LIST = "account_id name size query_source_list_name query_name_search_term created_at"
RUNS = itertools.count(1)


def new_world(**settings: Any) -> World:
    """A small world of this very moment, with pages small enough for every walk to have several."""
    usual = {"seed": 1, "accounts": 2, "contacts": 12, "now": datetime.now(UTC), "inbox_page": 5}
    return World.create(**{**usual, "conversation_page": 15, **settings})


@asynccontextmanager
async def client(sandbox: Sandbox, token: str | None = None) -> AsyncIterator[VoltClient]:
    """A client that never waits before it tries again."""
    async with VoltClient(sandbox.url, token or sandbox.token, clock=Clock(random=lambda: 0.0)) as volt:
        yield volt


async def synced(sandbox: Sandbox, url: str, *phones: str, token: str | None = None, **options: Any) -> SyncReport:
    """One sync, of all accounts when none is named; afterwards `sandbox.requests` holds just what it asked."""
    sandbox.requests.clear()
    chosen = phones or tuple(account.primary_phone for account in sandbox.world.accounts)
    async with client(sandbox, token) as volt:
        return await sync(volt, url, chosen, **{"run_id": f"run-{next(RUNS)}", **options})


def asked(sandbox: Sandbox) -> Counter[str]:
    """How often each query was asked since the last sync began, aliases counted one by one."""
    return Counter(field for recorded in sandbox.requests for field in recorded.root_fields)


def outcome(url: str) -> str:
    """How the last run ended."""
    ((found,),) = ask(url, "SELECT outcome FROM volt_ops.runs ORDER BY started_at DESC LIMIT 1")
    return str(found)


def open_rejects(url: str) -> list[tuple[Any, ...]]:
    return ask(url, "SELECT stream, key, reason FROM volt_ops.rejects WHERE resolved_at IS NULL ORDER BY id")


def gaps(url: str) -> list[tuple[Any, ...]]:
    """Where what is held is not what Volt counts."""
    return ask(url, "SELECT stream, key, total, held, gap FROM volt_ops.coverage WHERE gap <> 0")


def rows(url: str, table: str, columns: str) -> dict[str, tuple[Any, ...]]:
    """A table by its id, text as Volt said it."""
    names = ", ".join(["id", *columns.split()])
    return {key: tuple(map(_said, rest)) for key, *rest in ask(url, f"SELECT {names} FROM volt.{table}")}


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        return {unescape(key): _said(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_said(item) for item in value]
    return unescape(value) if isinstance(value, str) else value


def _row(world: World, entity: Any, columns: str) -> tuple[Any, ...]:
    """What a row of these columns must hold: the entity's attributes, `account_id` being its account's id."""
    found: list[Any] = []
    for name in columns.split():
        if name == "size":
            found.append(world.size(entity))
        elif name == "custom_fields":
            found.append([asdict(item) for item in entity.custom_fields])
        elif hasattr(entity, name):
            found.append(getattr(entity, name))
        else:
            found.append(getattr(getattr(entity, name.removesuffix("_id")), "id", None))
    return tuple(found)


def differences(url: str, world: World) -> dict[str, Any]:
    """Where the warehouse is not the world; empty when it is. Cheap enough to be asked after every sync."""
    counts = world.expected_counts()
    counts["inbox_items"] -= sum(  # the item whose contact is gone names no conversation
        item.contact is None for inbox in world.ledger.inboxes.values() for _, _, item in inbox.entries
    )
    found: dict[str, Any] = {
        table: held
        for table, expected in counts.items()
        if (held := ask(url, f"SELECT count(*) FROM volt.{table}")[0][0]) != expected
    }
    shown = [contact for contact in world.contacts if world.ledger.conversations[contact.id]]
    waves = {message.wave.id: message.wave for message in world.messages if message.wave}
    lists = {each.id: each for each in world.lists}
    for table, columns, entities in (
        ("messages", MESSAGE, {message.id: message for message in world.messages}),
        ("contacts", CONTACT, {contact.id: contact for contact in shown}),
        ("waves", WAVE, waves),
        ("lists", LIST, {key: lists[key] for key in rows(url, "lists", "name") if key in lists}),
    ):
        expected = {key: _row(world, entity, columns) for key, entity in entities.items()}
        held = rows(url, table, columns)
        wrong = sorted(key for key in expected.keys() | held.keys() if expected.get(key) != held.get(key))
        if wrong:
            found[f"{table}' rows"] = [(key, held.get(key), expected.get(key)) for key in wrong[:3]]
    memberships = {(contact.id, each.id) for contact in shown for each in world.lists_of(contact)}
    if wrong_members := memberships ^ set(
        ask(url, "SELECT contact_id, list_id FROM volt.contact_lists WHERE valid_to IS NULL")
    ):
        found["memberships"] = len(wrong_members)
    sent_to = {(wave.id, each.id) for wave in waves.values() for each in wave.lists or ()}
    if sent_to != set(ask(url, "SELECT wave_id, list_id FROM volt.wave_lists")):
        found["wave_lists"] = sent_to
    return found
