"""The receiver: POST /volt takes events, GET /healthz says that the process lives. It tells strangers nothing.

In this order, so that what a stranger can make us do stays cheap: rate, size, signature, and only then Postgres. A 2xx
means that the event is committed. What an event says is not looked at here.

A request without any signature header is answered 200, and stored nowhere, only while a registration of our own is
open: Volt sends a test request on `registerWebhook` and its text does not say whether that one is signed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from volt_pipeline.event import SignedEvent
from volt_pipeline.webhooks.intake import BodyRefused, Bucket, GroupCommit, NotKept, read_body
from volt_pipeline.webhooks.signature import SIGNATURE_HEADERS, Verifier

log = logging.getLogger(__name__)


class Shelf(Protocol):
    """Where events are kept; raises when it cannot."""

    async def keep(self, events: Sequence[SignedEvent]) -> None:
        """Commit them, durably."""

    async def registering(self) -> bool:
        """Whether a registration of our own is open; takes notice of it."""

    async def prune(self) -> None:
        """Delete what is older than events are kept."""

    async def close(self) -> None:
        """Let go of whatever it holds."""


@dataclass
class Receiver:
    """One receiving process. `rate` is requests a second, twice as many at once; `watch_seconds` is how often the
    shelf is asked for open registrations: no request causes that."""

    verifier: Verifier
    shelf: Shelf
    rate: float = 1_000.0
    body_seconds: float = 10.0
    patience: float = 5.0
    watch_seconds: float = 1.0
    prune_seconds: float = 3_600.0
    registering: bool = field(default=False, init=False)
    _bucket: Bucket = field(init=False, repr=False)
    _queue: GroupCommit = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._bucket = Bucket(self.rate, 2 * self.rate)
        self._queue = GroupCommit(self.shelf.keep, patience=self.patience)

    def app(self) -> Starlette:
        return Starlette(
            routes=[Route("/volt", self._take, methods=["POST"]), Route("/healthz", _health)], lifespan=self._alive
        )

    @asynccontextmanager
    async def _alive(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._queue.run()),
            asyncio.create_task(_every(self.watch_seconds, self._watch)),
            asyncio.create_task(_every(self.prune_seconds, self.shelf.prune)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.shelf.close()

    async def _watch(self) -> None:
        found = False
        try:
            found = await self.shelf.registering()
        finally:
            self.registering = found

    async def _take(self, request: Request) -> Response:
        if not self._bucket.take():
            return _bare(429, **{"retry-after": "1"})
        try:
            body = await read_body(request, seconds=self.body_seconds)
        except BodyRefused as refused:
            return _bare(refused.status)
        event = self.verifier.verified(request.headers, body)
        if event is None:
            unsigned = not any(name in request.headers for name in SIGNATURE_HEADERS)
            return _bare(200 if unsigned and self.registering else 401)
        try:
            await self._queue.add(event)
        except NotKept:
            return _bare(503, **{"retry-after": "5"})
        return _bare(200)


def _bare(status: int, **headers: str) -> Response:
    """An answer without a word; one that leaves a body unread ends the connection."""
    if status in (400, 408, 413, 429):
        headers["connection"] = "close"
    return Response(status_code=status, headers=headers)


async def _health(_request: Request) -> Response:
    return Response("ok", media_type="text/plain")


async def _every(seconds: float, do: Callable[[], Awaitable[None]]) -> None:
    while True:
        with suppress(Exception):  # the shelf has said why in the log; the next round tries again
            await do()
        await asyncio.sleep(seconds)
