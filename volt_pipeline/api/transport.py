"""gql's aiohttp transport at bare speed: printed documents out, raw bytes in, decoded by orjson or into a shape.

gql's own transport prints every document again, decodes through text and logs what travels, phones and messages
included. This one logs nothing, follows no redirect (the token must not travel on), reads no more than a cap, and
keeps gql's exceptions. None of them carries a text of Volt's, a cause or a context.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import urlsplit

import aiohttp
import orjson
from gql import GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
    TransportServerError,
)
from graphql import ExecutionResult
from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from volt_pipeline.api.errors import ContractError
from volt_pipeline.api.pacing import Clock

CONNECT_WITHIN = 10.0  # seconds: a host that takes longer to accept a connection is not there

Shape = TypeVar("Shape")

_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotConnected(TransportConnectionFailed):
    """No connection was made: nothing was sent."""


class TimedOut(TransportConnectionFailed):
    """The time for this request passed after it may have been sent."""


class TooLarge(TransportProtocolError):
    """The answer is larger than the cap."""


@dataclass(slots=True)
class Exchange:
    """One request and what came with its answer beside data and errors. The transport fills it in."""

    asked_at: datetime
    timeout: float  # seconds for the whole exchange
    shape: type[Struct] | None = None  # what each root value is decoded into, if all of them fit
    status: int = 0  # 0: no answer came
    retry_after: float | None = None  # seconds
    size: int = 0  # bytes of the body, decompressed
    executed: bool = False  # Volt began to carry the request out: the answer has `data`, be it null, or a path
    refused: bool = False  # it did not begin: a GraphQL answer with errors, without `data` and path


class VoltTransport(AIOHTTPTransport):
    """Posts a request and reads the answer; `exchange` is passed through gql's session as an extra argument."""

    def __init__(self, url: str, token: str, *, agent: str, connections: int, most_bytes: int, clock: Clock) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": agent,
        }
        super().__init__(url, headers=headers)
        self._connections = connections
        self._most_bytes = most_bytes
        self._clock = clock

    def __repr__(self) -> str:
        return "<VoltTransport>"

    async def connect(self) -> None:
        # Made here, not in __init__: a connector belongs to the running loop.
        self.client_session_args = {
            "connector": aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=300),
            "cookie_jar": aiohttp.DummyCookieJar(),
        }
        await super().connect()

    async def execute(  # type: ignore[override]  # gql's two extra arguments are of no use here
        self, request: GraphQLRequest, *, exchange: Exchange
    ) -> ExecutionResult:
        """One exchange. Raises gql's transport errors; GraphQL errors are returned, whatever the HTTP status."""
        if self.session is None:
            raise RuntimeError("the client is not open: use it as `async with VoltClient(...)`")
        body = _encode(request.payload)
        timeout = _timeout(exchange.timeout)
        exchange.asked_at = self._clock.now()
        failure: TransportError
        try:
            async with self.session.post(self.url, data=body, allow_redirects=False, timeout=timeout) as response:
                exchange.status = response.status
                exchange.retry_after = _retry_after(response.headers, exchange.asked_at)
                return await self._answer(response, exchange)
        except TransportError as error:
            failure = error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = _connection_failure(error)
        # Raised out here so that no context holds aiohttp's error, which knows the request's headers.
        raise failure

    async def _answer(self, response: aiohttp.ClientResponse, exchange: Exchange) -> ExecutionResult:
        status = response.status
        if 300 <= status < 400:
            raise TransportServerError("redirect", status)
        exchange.executed = status < 300  # what cannot be read may have been done
        body = await self._read(response)
        exchange.size = len(body)
        if exchange.shape and status < 300 and (values := _shaped(body, exchange.shape)) is not None:
            return ExecutionResult(data=values)
        answer = _decode(body)
        if not isinstance(answer, dict) or not ("data" in answer or answer.get("errors")):
            _raise_unusable(status, "no body" if not body else "a body that is no GraphQL answer")
        errors, data = _errors(answer.get("errors")), answer.get("data")
        # A path means a field was being worked on: some servers leave a null `data` out.
        exchange.executed = "data" in answer or any(error.get("path") for error in errors)
        exchange.refused = bool(errors) and not exchange.executed
        if data is not None and not isinstance(data, dict):
            _raise_unusable(status, "data that is no object")
        if data is None and not errors:
            _raise_unusable(status, "neither data nor errors")
        return ExecutionResult(data=data, errors=errors or None)  # type: ignore[arg-type]  # as gql does: plain dicts

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if (response.content_length or 0) > self._most_bytes:
            raise TooLarge("the answer is larger than the cap")
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._most_bytes:  # after decompression, so that a small bomb stays small
                raise TooLarge("the answer is larger than the cap")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class VoltSession(AsyncClientSession):
    """gql's session, without the second timer that it would start around every request."""

    async def _execute(self, request: GraphQLRequest, **extra: Any) -> ExecutionResult:
        result: ExecutionResult = await self.transport.execute(request, exchange=extra["exchange"])
        return result


@lru_cache(maxsize=64)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_WITHIN)


def usable_url(url: str) -> str:
    """The address as it will be used. Raises ContractError for one that cannot be."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ContractError("connect", "VOLT_API_URL is not an http or https address", whole=True)
    if "@" in parts.netloc:
        message = "VOLT_API_URL must hold no user or password: the token goes in VOLT_API_TOKEN"
        raise ContractError("connect", message, whole=True)
    return url


def _raise_unusable(status: int, what: str) -> NoReturn:
    if status >= 400:
        raise TransportServerError(what, status)
    raise TransportProtocolError(what)


def _connection_failure(error: Exception) -> TransportError:
    """gql's error for one of aiohttp's, in words that hold nothing but its kind."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NotConnected("its name could not be resolved")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return NotConnected("its TLS certificate is not trusted here")
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return NotConnected("no TLS connection could be made")
    if isinstance(error, aiohttp.ClientConnectorError):
        return NotConnected("the connection was refused, or there is no way to it")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return NotConnected(f"no connection within {CONNECT_WITHIN:.0f} s")
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return TimedOut("no answer in time")
    if isinstance(error, aiohttp.InvalidURL):
        return NotConnected("the address is not valid")
    if isinstance(error, aiohttp.ClientPayloadError):
        return TransportConnectionFailed("the answer was cut off")
    return TransportConnectionFailed("the connection was lost")


def _encode(payload: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(payload)
    except TypeError:  # orjson refuses lone surrogates, which a name read from Volt may hold
        return json.dumps(payload).encode()


class _Answer(Struct, Generic[Shape]):
    """An answer without any error."""

    data: dict[str, Shape]
    errors: None = None


@cache
def _decoder(shape: type[Struct]) -> Decoder[_Answer[Any]]:
    return Decoder(_Answer[shape])  # type: ignore[valid-type]  # a type made at run time


def _shaped(body: bytes, shape: type[Struct]) -> dict[str, Any] | None:
    """The root values of an answer, each in this shape; None where anything in it does not fit."""
    try:
        return _decoder(shape).decode(body).data
    except (MsgspecError, ValueError, RecursionError):
        return None


def _decode(body: bytes) -> Any:
    """The JSON value of a body, None if it is not JSON. Emojis cut in half are JSON too, though not to orjson."""
    try:
        return orjson.loads(body)
    except ValueError:
        if not _LONE_SURROGATE.search(body):
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _errors(errors: Any) -> list[dict[str, Any]]:
    """GraphQL errors as a list of objects, whatever a server made of them."""
    if not errors:
        return []
    listed = errors if isinstance(errors, list) else [errors]
    return [error if isinstance(error, dict) else {"message": str(error)} for error in listed]


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """`Retry-After` in seconds from now; a date is read against the server's own clock if it tells it."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    return max(timedelta(0), until - (_http_date(headers.get("Date", "")) or now)).total_seconds()


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return date if date.tzinfo else None
