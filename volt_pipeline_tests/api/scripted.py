"""A real HTTP server that answers GraphQL requests as a test tells it, well or badly, and remembers what was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from volt_pipeline.api.pacing import Clock

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE5MDAwMDAwMDB9.c2lnbmF0dXJl-of-A"


@dataclass(frozen=True)
class Asked:
    """One request, as the server read it."""

    query: str
    operation: str
    variables: dict[str, Any]
    headers: dict[str, str]

    @property
    def items(self) -> list[dict[str, Any]]:
        """The variables of each alias, or of the one operation."""
        numbered: dict[int, dict[str, Any]] = {}
        for name, value in self.variables.items():
            stem, _, number = name.rpartition("_")
            numbered.setdefault(int(number) if stem else 0, {})[stem or name] = value
        return [numbered[number] for number in sorted(numbered)]


@dataclass(frozen=True)
class Say:
    """One answer. `cut` drops the connection in the middle of the body; `hang` waits for ever before answering."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    drop: bool = False
    hang: bool = False


Respond = Callable[[Asked], Say]


class ScriptedVolt:
    """Answers with `script` in order, its last line again and again; a line may be a function of the request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: list[Say | Respond] = [Say({"data": None})]
        self.url = ""
        self.under_way = self.most_under_way = 0
        self.gate: asyncio.Event | None = None  # when set to an event, every answer waits for it

    def says(self, *script: Say | Respond) -> None:
        self.asked.clear()
        self.script = list(script)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        content = json.loads(await request.read())
        asked = Asked(content["query"], content["operationName"], content["variables"], dict(request.headers))
        self.asked.append(asked)
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        say = line(asked) if callable(line) else line
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return await self._answer(request, say)
        finally:
            self.under_way -= 1

    async def _answer(self, request: web.Request, say: Say) -> web.StreamResponse:
        if say.hang:
            await asyncio.sleep(3600)
        if say.drop:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        body = say.body if isinstance(say.body, bytes) else json.dumps(say.body).encode()
        if not say.cut:
            return web.Response(body=body, status=say.status, headers=say.headers)
        response = web.StreamResponse(status=say.status, headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response


@asynccontextmanager
async def serving() -> AsyncIterator[ScriptedVolt]:
    """A scripted server on a free port."""
    volt = ScriptedVolt()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/graphql", volt.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    volt.url = f"http://127.0.0.1:{runner.addresses[0][1]}/graphql"
    try:
        yield volt
    finally:
        await runner.cleanup()


class Hands:
    """A clock whose hands the test sees: sleeping moves it at once; chance is always the whole wait."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.seconds += seconds
        await asyncio.sleep(0)

    @property
    def clock(self) -> Clock:
        return Clock(
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
            random=lambda: 1.0,
        )


def data(**roots: Any) -> Say:
    return Say({"data": roots})


def failing(message: str, code: str | None = None, *, path: list[Any] | None = None, **answer: Any) -> Say:
    """An answer with one GraphQL error; `status` and `data` may be given."""
    status = answer.pop("status", 200)
    error: dict[str, Any] = {"message": message}
    if code:
        error["extensions"] = {"code": code}
    if path:
        error["path"] = path
    return Say({"errors": [error], **answer}, status)


def phone(number: int) -> str:
    return f"+1555{number:07}"


def conversations(
    bad: set[str], *, blamed: bool, message: str = "Contact not found", code: str = "NOT_FOUND"
) -> Respond:
    """`conversation` as Volt has it, non-null at the root: one of the `bad` numbers nulls the whole answer."""

    def respond(asked: Asked) -> Say:
        many = [item["to"] for item in asked.items]
        culprits = [f"a{index}" for index, to in enumerate(many) if to in bad]
        if not culprits:
            return Say({"data": {f"a{index}": {"to": to} for index, to in enumerate(many)}})
        return failing(message, code, path=[culprits[0]] if blamed else None, data=None)

    return respond
