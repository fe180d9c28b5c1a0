"""A Volt that answers from pre-rendered pages, so that a benchmark measures the client and not this server.

Its contents follow from the numbers it is given. `POST /move` adds a message to a share of the conversations; `/asked`
tells how many requests came since it was last asked.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
from aiohttp import web
from graphql import FieldNode, OperationDefinitionNode, VariableNode, parse

INBOX_PAGE, CONVERSATION_PAGE = 50, 50
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_LISTS, _WAVES = 40, 20  # of each account


@dataclass(frozen=True)
class Size:
    """How much this Volt holds; `messages` is the mean of a conversation, one in fifty being ten times as long."""

    accounts: int = 4
    conversations: int = 20_000
    messages: int = 25

    def phone(self, account: int) -> str:
        return f"+1918555{account:04d}"

    @property
    def phones(self) -> list[str]:
        return [self.phone(account) for account in range(self.accounts)]


class Volt:
    """All answers, as bytes: `answers[field][arguments]`."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.lengths: dict[tuple[str, str], int] = {}
        self.order: dict[str, list[str]] = {phone: [] for phone in size.phones}
        self.pages: dict[tuple[str, str, str], bytes] = {}  # account, contact ("" for the inbox), cursor
        self.single: dict[tuple[str, str], bytes] = {}
        self.moved: dict[str, datetime] = {}  # contact → when its last text came, of those that ever moved
        self.asked = 0
        short = max(1, size.messages * 50 // 59)
        for at in range(size.conversations):
            phone, contact = size.phone(at % size.accounts), f"+1405{at:07d}"
            self.lengths[phone, contact] = short * 10 if at % 50 == 49 else short
            self.order[phone].append(contact)
            self._render_conversation(phone, contact)
        for account, phone in enumerate(size.phones):
            self._render_inbox(phone)
            for number in range(_LISTS):
                self.single["list", f"{phone}/list {number}"] = orjson.dumps(_list(account, number))
            for number in range(_WAVES):
                wave = _wave(account, number)
                self.single["wave", wave["id"]] = orjson.dumps(wave)
            everyone = {**_list(account, 999), "name": "All"}
            self.single["list", f"{phone}/All"] = orjson.dumps(everyone)

    def move(self, share: float) -> int:
        """One more message in every so many conversations, which go to the top; gives how many."""
        every, moved, now = round(1 / share), 0, datetime.now(UTC)
        for phone, contacts in self.order.items():
            top = [contact for at, contact in enumerate(contacts) if at % every == 0]
            for place, contact in enumerate(top):
                self.moved[contact] = now - timedelta(microseconds=place)
                self.lengths[phone, contact] += 1
                self._render_conversation(phone, contact)
            moved += len(top)
            self.order[phone] = top + [contact for at, contact in enumerate(contacts) if at % every]
            self._render_inbox(phone)
        return moved

    def _render_conversation(self, phone: str, contact: str) -> None:
        length = self.lengths[phone, contact]
        for start in range(0, length, CONVERSATION_PAGE):
            newest_first = range(length - 1 - start, max(-1, length - 1 - start - CONVERSATION_PAGE), -1)
            page = {
                "messages": [self._message(phone, contact, number) for number in newest_first],
                "pageInfo": _info(length, start + CONVERSATION_PAGE),
            }
            self.pages[phone, contact, str(start) if start else ""] = orjson.dumps(page)

    def _render_inbox(self, phone: str) -> None:
        contacts = self.order[phone]
        for start in range(0, len(contacts), INBOX_PAGE):
            page = {
                "account": _account(self.size.phones.index(phone), phone),
                "items": [self._item(phone, contact) for contact in contacts[start : start + INBOX_PAGE]],
                "pageInfo": _info(len(contacts), start + INBOX_PAGE),
            }
            self.pages[phone, "", str(start) if start else ""] = orjson.dumps(page)

    def _item(self, phone: str, contact: str) -> dict[str, Any]:
        at = self.moved.get(contact) or _BEGAN + timedelta(days=300) - timedelta(seconds=int(contact[5:]))
        account = self.size.phones.index(phone)
        number = int(contact[5:])
        return {
            "lastMessage": f"Text {self.lengths[phone, contact]} of this conversation",
            "isUnread": False,
            "lastMessageTime": at.isoformat(),
            "contact": {
                "id": contact[2:],
                "account": {"id": str(account)},
                "organization": {"id": "1"},
                "phoneNumber": contact,
                "name": f"Contact {number}",
                "mappedNumber": "",
                "customFields": [{"key": "customer_type", "value": "builder"}],
                "blocked": False,
                "createdAt": "2025-06-01T00:00:00Z",
                "lastUpdatedAt": "2025-06-02T00:00:00Z",
                "lists": [_named(account, (number + step) % _LISTS) for step in range(2)],
            },
        }

    def _message(self, phone: str, contact: str, number: int) -> dict[str, Any]:
        account = self.size.phones.index(phone)
        at = (_BEGAN + timedelta(minutes=37 * number, seconds=int(contact[2:]) % 997)).isoformat()
        outbound = number % 2 == 0
        return {
            "id": f"rf_{contact[2:]}_{number}",
            "legacyId": f"SM{contact[2:]}{number:08d}",
            "account": {"id": str(account)},
            "organization": {"id": "1"},
            "toNumber": contact if outbound else phone,
            "fromNumber": phone if outbound else contact,
            "status": "delivered" if outbound else "received",
            "statusDescription": "Message delivered to handset" if outbound else "",
            "media": [],
            "body": f"Hello, this is text {number} of our conversation about two pallets of thin brick.",
            "sentAt": at,
            "confirmedAt": at,
            "wave": {"id": f"{account}00{number % _WAVES}"} if number % 10 == 0 else None,
            "contact": {"id": contact[2:]},
        }

    # --- serving --------------------------------------------------------------------------------------------

    def answer(self, asked: dict[str, Any]) -> bytes:
        self.asked += 1
        variables = asked["variables"]
        parts = []
        for alias, field, arguments in _plan(asked["query"]):
            given = {name: variables.get(variable) for name, variable in arguments.items()}
            parts.append(b'"%s":%s' % (alias.encode(), self._field(field, given)))
        return b'{"data":{' + b",".join(parts) + b"}}"

    def _field(self, field: str, given: dict[str, Any]) -> bytes:
        if field == "inbox":
            return self.pages[given["from"], "", given.get("before") or ""]
        if field == "conversation":
            return self.pages[given["from"], given["to"], given.get("before") or ""]
        if field == "list":
            return self.single["list", f"{given['primaryPhone']}/{given['listName']}"]
        if field == "wave":
            return self.single["wave", given["id"]]
        return b"[]" if field == "webhooks" else b"null"


def _info(total: int, following: int) -> dict[str, Any]:
    more = following < total
    return {"totalItems": total, "nextPage": str(following) if more else None, "hasNextPage": more}


def _account(number: int, phone: str) -> dict[str, Any]:
    organization = {"id": "1", "companyName": "A company", "domain": "", "size": "", "industry": ""}
    flags = {"isOnFreeTrial": False, "isActive": True, "createdAt": "2025-01-01T00:00:00Z", "lastUpdatedAt": ""}
    return {
        "id": str(number),
        "name": f"Store {number}",
        "primaryPhone": phone,
        "createdBy": "somebody",
        "createdAt": "2025-01-01T00:00:00Z",
        "lastUpdatedAt": "",
        "callForwardingNumber": "",
        "location": "",
        "organization": {**organization, **flags},
    }


def _named(account: int, number: int) -> dict[str, str]:
    return {"id": f"{account}-{number}", "name": f"list {number}"}


def _list(account: int, number: int) -> dict[str, Any]:
    return {
        **_named(account, number),
        "account": {"id": str(account)},
        "size": 100,
        "querySourceListName": "All",
        "queryNameSearchTerm": "",
        "queryCustomFields": [],
        "createdBy": "somebody",
        "createdAt": "2025-06-01T00:00:00Z",
        "lastUpdatedAt": "2025-06-01T00:00:00Z",
    }


def _wave(account: int, number: int) -> dict[str, Any]:
    return {
        "id": f"{account}00{number}",
        "name": f"Wave {number}",
        "account": {"id": str(account)},
        "organization": {"id": "1"},
        "body": "Hello",
        "media": [],
        "sentBy": "somebody",
        "scheduledTime": "2026-01-01 00:00:00",
        "totalMessages": 10,
        "totalMessagesDelivered": 10,
        "totalMessagesFailed": 0,
        "type": "account",
        "lists": [_named(account, 1)],
    }


@cache
def _plan(query: str) -> list[tuple[str, str, dict[str, str]]]:
    """(alias, field, {argument: variable}) of each root field."""
    operation = next(each for each in parse(query).definitions if isinstance(each, OperationDefinitionNode))
    plan = []
    for node in operation.selection_set.selections:
        assert isinstance(node, FieldNode)  # noqa: S101  # the client sends nothing else at the root
        arguments = {
            each.name.value: each.value.name.value for each in node.arguments if isinstance(each.value, VariableNode)
        }
        plan.append((node.alias.value if node.alias else node.name.value, node.name.value, arguments))
    return plan


def _serve(size: Size, latency_ms: float, told: Any) -> None:
    volt = Volt(size)

    async def graphql(request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())
        if latency_ms:
            await asyncio.sleep(latency_ms / 1000)
        return web.Response(body=volt.answer(asked), content_type="application/json")

    async def move(request: web.Request) -> web.Response:
        return web.json_response(volt.move(float(request.query["share"])))

    async def asked(_request: web.Request) -> web.Response:
        count, volt.asked = volt.asked, 0
        return web.json_response(count)

    async def run() -> None:
        app = web.Application()
        app.add_routes([web.post("/graphql", graphql), web.post("/move", move), web.post("/asked", asked)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        told.put(f"http://{host}:{port}")
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def serving(size: Size, latency_ms: float) -> Iterator[str]:
    """The address of such a Volt, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_serve, args=(size, latency_ms, told), daemon=True)
    process.start()
    try:
        yield told.get(timeout=900)
    finally:
        process.terminate()
        process.join()
