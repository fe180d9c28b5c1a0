"""The floor: a bare loop that fetches everything and writes it, with nothing in the way.

The same aliased documents, 25 conversations each and 16 requests in flight, decoded by orjson, written by binary COPY
and upsert into tables like ours. No catalogue, no state, no checks, no errors met: what no connector can do without.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from datetime import datetime
from typing import Any

import aiohttp
import orjson
import psycopg

from volt_pipeline.api import documents

ALIASES, REQUESTS, ROWS = 25, 16, 5_000

_TYPES = {
    "messages": "text text text text text text text text text text timestamptz timestamptz text text bool text",
    "contacts": "text text text text text text text timestamptz timestamptz bool",
    "inbox_items": "text text text text bool timestamptz",
    "conversations": "text text int8",
    "contact_lists": "text text timestamptz",
    "lists": "text text text int8 text text text timestamptz",
    "waves": "text text text text text int8 int8 int8 text",
}
_COLUMNS = {
    "messages": "id legacy_id account_id organization_id to_number from_number status status_description media body "
    "sent_at confirmed_at wave_id contact_id is_final contact_phone",
    "contacts": "id account_id organization_id phone_number name mapped_number custom_fields created_at "
    "last_updated_at blocked",
    "inbox_items": "account_id contact_phone contact_id last_message is_unread last_message_time",
    "conversations": "account_id contact_phone messages_total",
    "contact_lists": "contact_id list_id valid_from",
    "lists": "id account_id name size query_source_list_name query_name_search_term query_custom_fields created_at",
    "waves": "id name account_id body media total_messages total_messages_delivered total_messages_failed type",
}
_KEYS = {"inbox_items": "account_id, contact_phone", "conversations": "account_id, contact_phone"}
_JSON = {"media", "custom_fields", "query_custom_fields"}


class Floor:
    """One such run."""

    def __init__(self, session: aiohttp.ClientSession, url: str, connection: psycopg.AsyncConnection[Any]) -> None:
        self.session, self.url, self.connection = session, url, connection
        self.rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _COLUMNS}
        self.waiting: deque[tuple[str, str, str, str | None]] = deque()  # account phone, id, contact, cursor
        self.waves: set[str] = set()
        self.lists: set[tuple[str, str]] = set()
        self.slots = asyncio.Semaphore(REQUESTS)
        self.writing = asyncio.Lock()
        self.changed = asyncio.Event()
        self.paging = self.busy = 0

    async def ask(self, operation: str, items: list[dict[str, Any]]) -> list[Any]:
        document = documents.aliased(operation, len(items))
        body = orjson.dumps({"query": document.text, "variables": documents.spread(items)})
        async with self.slots, self.session.post(self.url, data=body) as answer:
            data = orjson.loads(await answer.read())["data"]
        return [data[key] for key in document.keys]

    async def run(self, phones: list[str]) -> None:
        self.paging = len(phones)
        await asyncio.gather(*(self.inbox(phone) for phone in phones), *(self.work() for _ in range(REQUESTS)))
        asked = [{"primaryPhone": phone, "listName": name} for phone, name in sorted(self.lists)]
        for each in await self.many("list", asked):
            fields = orjson.dumps(each["queryCustomFields"]).decode()
            source, term = each["querySourceListName"], each["queryNameSearchTerm"]
            found = (each["id"], each["account"]["id"], each["name"], each["size"], source, term, fields)
            self.rows["lists"].append((*found, _moment(each["createdAt"])))
        for each in await self.many("wave", [{"id": wave} for wave in sorted(self.waves)]):
            totals = (each["totalMessages"], each["totalMessagesDelivered"], each["totalMessagesFailed"])
            media = orjson.dumps(each["media"]).decode()
            row = (each["id"], each["name"], each["account"]["id"], each["body"], media)
            self.rows["waves"].append((*row, *totals, each["type"]))
        await self.write(1)

    async def many(self, operation: str, items: list[dict[str, Any]]) -> list[Any]:
        parts = [items[start : start + ALIASES] for start in range(0, len(items), ALIASES)]
        return [each for part in await asyncio.gather(*(self.ask(operation, part) for part in parts)) for each in part]

    async def inbox(self, phone: str) -> None:
        cursor = None
        while True:
            (page,) = await self.ask("inbox", [{"from": phone, "before": cursor}])
            account = page["account"]["id"]
            for item in page["items"]:
                contact = item["contact"]
                self.contact(phone, contact)
                text, unread, at = item["lastMessage"], item["isUnread"], _moment(item["lastMessageTime"])
                number = contact["phoneNumber"]
                self.rows["inbox_items"].append((account, number, contact["id"], text, unread, at))
                self.waiting.append((phone, account, number, None))
            self.changed.set()
            cursor = page["pageInfo"]["nextPage"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        self.paging -= 1
        self.changed.set()

    def contact(self, phone: str, each: dict[str, Any]) -> None:
        times = _moment(each["createdAt"]), _moment(each["lastUpdatedAt"])
        fields = orjson.dumps(each["customFields"]).decode()
        named = (each["phoneNumber"], each["name"], each["mappedNumber"], fields)
        owner = (each["id"], each["account"]["id"], each["organization"]["id"])
        self.rows["contacts"].append((*owner, *named, *times, each["blocked"]))
        for found in each["lists"]:
            self.rows["contact_lists"].append((each["id"], found["id"], times[0]))
            self.lists.add((phone, found["name"]))

    async def work(self) -> None:
        while True:
            while not self.waiting:
                if not (self.paging or self.busy):
                    self.changed.set()
                    return
                self.changed.clear()
                await self.changed.wait()
            part = [self.waiting.popleft() for _ in range(min(ALIASES, len(self.waiting)))]
            self.busy += 1
            asked = [{"from": phone, "to": contact, "before": cursor} for phone, _, contact, cursor in part]
            for (phone, account, contact, _), page in zip(part, await self.ask("conversation", asked), strict=True):
                self.messages(account, contact, page)
                if page["pageInfo"]["hasNextPage"]:
                    self.waiting.appendleft((phone, account, contact, page["pageInfo"]["nextPage"]))
            await self.write(ROWS)
            self.busy -= 1
            self.changed.set()

    def messages(self, account: str, contact: str, page: dict[str, Any]) -> None:
        add = self.rows["messages"].append
        self.rows["conversations"].append((account, contact, page["pageInfo"]["totalItems"]))
        for each in page["messages"]:
            wave = each["wave"] and each["wave"]["id"]
            if wave:
                self.waves.add(wave)
            said = (each["status"], each["statusDescription"], orjson.dumps(each["media"]).decode(), each["body"])
            times = _moment(each["sentAt"]), _moment(each["confirmedAt"])
            owner = (each["id"], each["legacyId"], each["account"]["id"], each["organization"]["id"])
            ends = (each["toNumber"], each["fromNumber"])
            add((*owner, *ends, *said, *times, wave, each["contact"]["id"], each["status"] != "sent", contact))

    async def write(self, least: int) -> None:
        """Write what is waiting, if it is so much, in one transaction."""
        async with self.writing:
            if sum(map(len, self.rows.values())) < least:
                return
            rows, self.rows = self.rows, {table: [] for table in _COLUMNS}
            async with self.connection.transaction(), self.connection.cursor() as cursor:
                for table, found in rows.items():
                    if found:
                        await _upsert(cursor, table, found)


async def _upsert(cursor: psycopg.AsyncCursor[Any], table: str, rows: list[tuple[Any, ...]]) -> None:
    names = _COLUMNS[table].split()
    width = len(_KEYS.get(table, "id").split(", ")) if table != "contact_lists" else 3
    unique = {row[:width]: row for row in rows}
    async with cursor.copy(f"COPY stage_{table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(_TYPES[table].split())
        for identity in sorted(unique):
            await copy.write_row(unique[identity])
    listed = ", ".join(names)
    staged = ", ".join(f"s.{name}::jsonb" if name in _JSON else f"s.{name}" for name in names)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    key = "contact_id, list_id, valid_from" if table == "contact_lists" else _KEYS.get(table, "id")
    await cursor.execute(
        f"INSERT INTO volt.{table} ({listed}, first_seen_at, loaded_at, run_id) "
        f"SELECT {staged}, now(), now(), '' FROM stage_{table} AS s ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def run(api: str, warehouse_url: str, phones: list[str]) -> float:
    """Seconds that it takes."""
    async with (
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session,
        await psycopg.AsyncConnection.connect(warehouse_url, autocommit=True) as connection,
    ):
        for table, types in _TYPES.items():
            columns = ", ".join(
                f"{name} {kind}" for name, kind in zip(_COLUMNS[table].split(), types.split(), strict=True)
            )
            await connection.execute(f"CREATE TEMP TABLE stage_{table} ({columns}) ON COMMIT DELETE ROWS")
        started = time.perf_counter()
        await Floor(session, f"{api}/graphql", connection).run(phones)
        return time.perf_counter() - started
