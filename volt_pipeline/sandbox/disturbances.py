"""What can happen to an answer on its way: statuses, torn bodies, broken connections, waits.

Each function makes one `Disturbance` for `Faults.disturb`. Those that tear the right answer (`cut`, `half_json`,
`drip`) are made from it where the document was executed, and from a stand-in where it was not.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

STAND_IN = b'{"data":{"nothing":{"was":["executed"]}}}'
PAGE = b"<!doctype html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>"
NO_ANSWER = 0  # recorded as the status where the connection ends without one


@dataclass(slots=True, frozen=True)
class Disturbance:
    """How one answer goes wrong. `make` is given the body that would have been sent; `seconds` are waited first."""

    make: Callable[[bytes], Response]
    tears_the_body: bool = False  # so a query is executed for it; a mutation never is, but for `after_effect`
    seconds: float = 0


def http_error(
    status: int = 500, body: bytes = b"Internal Server Error", media_type: str = "text/plain", **headers: str
) -> Disturbance:
    """Any status with any body; header names take _ for -."""
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return Disturbance(lambda _right: Response(body, status, shown, media_type))


def bad_gateway() -> Disturbance:
    """502 with a web page: what a proxy before Volt says."""
    return html(502, b"502 Bad Gateway")


def html(status: int = 200, title: bytes = b"Down for maintenance") -> Disturbance:
    """A web page, by default with status 200: only its type and its body tell that it is no answer."""
    return http_error(status, PAGE % (title, title), "text/html")


def too_many_requests(retry_after: float | datetime | str | None = None) -> Disturbance:
    """429, and when to come back: seconds, an HTTP date, any text, or no word on it."""
    if retry_after is None:
        return http_error(429, b"Too Many Requests")
    if isinstance(retry_after, datetime):
        retry_after = format_datetime(retry_after.astimezone(UTC).replace(microsecond=0), usegmt=True)
    return http_error(429, b"Too Many Requests", retry_after=str(retry_after))


def http_date(seconds: float) -> datetime:
    """The time in so many seconds, for `too_many_requests`; HTTP dates know whole seconds only."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def graphql_error(message: str, code: str | None = None, status: int = 200, **body: Any) -> Disturbance:
    """A GraphQL error instead of the answer; `data=None` adds a null data beside it."""
    error: dict[str, Any] = {"message": message}
    if code is not None:
        error["extensions"] = {"code": code}
    return http_error(status, orjson.dumps({"errors": [error], **body}), "application/json")


def rate_limited(status: int = 200) -> Disturbance:
    """The rate limit in GraphQL's words, with status 200."""
    return graphql_error("Rate limit exceeded", "RATE_LIMITED", status)


def half_json() -> Disturbance:
    """A complete HTTP answer whose JSON ends in the middle."""
    return Disturbance(lambda right: _json(right[: len(right) // 2]), tears_the_body=True)


def empty_body() -> Disturbance:
    return Disturbance(lambda _right: _json(b""))


def null_data() -> Disturbance:
    """{"data": null}, and no error that would say why."""
    return Disturbance(lambda _right: _json(b'{"data":null}'))


def not_an_object() -> Disturbance:
    """Valid JSON that is no GraphQL answer at all."""
    return Disturbance(lambda _right: _json(b'["data"]'))


def redirect(location: str, status: int = 302) -> Disturbance:
    """Somewhere else; a client that follows takes its token along, and may turn a POST into a GET."""
    return http_error(status, b"", location=location)


def cut() -> Disturbance:
    """Half of the body that Content-Length announces, and then the end of the connection."""
    return Disturbance(_Cut, tears_the_body=True)


def reset() -> Disturbance:
    """No answer: the connection is reset."""
    return Disturbance(_Reset)


def stall(seconds: float) -> Disturbance:
    """Nothing for so long, and then the right answer. The wait ends early when the client gives up."""
    return Disturbance(_json, tears_the_body=True, seconds=seconds)


def drip(seconds: float, pieces: int = 20) -> Disturbance:
    """The right answer in small pieces over so long: no single read waits for long, only the whole does."""

    def make(right: bytes) -> Response:
        async def dripping() -> AsyncIterator[bytes]:
            size = -(-len(right) // pieces)
            for start in range(0, len(right), size):
                await asyncio.sleep(seconds / pieces)
                yield right[start : start + size]

        return StreamingResponse(dripping(), media_type="application/json")

    return Disturbance(make, tears_the_body=True)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


class _Broken(Response):
    """An answer that HTTP does not allow, written past the HTTP server into its connection."""

    def __init__(self, right: bytes, status: int) -> None:
        super().__init__(b"", status)
        self.right = right

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # uvicorn hands its own `receive` down, a method of the object that holds the connection.
        cycle: Any = getattr(receive, "__self__", None)
        self.end(cast(asyncio.Transport, cycle.transport))
        await _gone(receive)

    def end(self, connection: asyncio.Transport) -> None:
        raise NotImplementedError


class _Cut(_Broken):
    def __init__(self, right: bytes) -> None:
        super().__init__(right, 200)

    def end(self, connection: asyncio.Transport) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(self.right)}\r\n\r\n"
        connection.write(head.encode() + self.right[: len(self.right) // 2])
        connection.close()


class _Reset(_Broken):
    def __init__(self, right: bytes) -> None:
        super().__init__(right, NO_ANSWER)

    def end(self, connection: asyncio.Transport) -> None:
        held = connection.get_extra_info("socket")
        with suppress(OSError), socket.fromfd(held.fileno(), held.family, held.type) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a close is a reset
        connection.abort()


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed that the connection is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def has_left(request: Request, seconds: float) -> bool:
    """Wait; True as soon as the client has given up."""
    try:
        async with asyncio.timeout(seconds):
            await _gone(request.receive)
    except TimeoutError:
        return False
    return True
