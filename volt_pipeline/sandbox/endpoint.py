"""The one endpoint that Volt has: POST /graphql, with its token, its refusals and a record of what was asked."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import DocumentNode
from starlette.requests import Request
from starlette.responses import Response

from . import documents
from .world import World


def _segment(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()


# Shaped like Volt's tokens, which clients may read (`exp`, permissions) but cannot verify; opens this sandbox only.
TOKEN = ".".join(
    (
        _segment({"alg": "none", "typ": "JWT"}),
        _segment(
            {
                "iss": "volt-sandbox",
                "sub": "api@acmebrick.example",
                "exp": 4_102_444_800,
                "permissions": [
                    f"{verb}:{what}" for what in ("messages", "waves", "contacts") for verb in ("read", "write")
                ],
            }
        ),
        "c2FuZGJveA",
    )
)
UNAUTHORIZED = {"errors": [{"message": "Unauthorized", "extensions": {"code": "UNAUTHENTICATED"}}]}


@dataclass(slots=True, frozen=True)
class Recorded:
    """One HTTP request to /graphql: what was asked, and the HTTP status of the answer."""

    operation: str | None
    root_fields: list[str]
    status: int


@dataclass(slots=True)
class Sandbox:
    """A running server, as tests see it. `world` may be exchanged for another between two requests."""

    world: World
    token: str = TOKEN
    url: str = ""
    requests: list[Recorded] = field(default_factory=list)


def answer(content: Any, status: int = 200) -> Response:
    try:
        body = orjson.dumps(content)
    except TypeError:  # lone surrogates: JSON can escape them, and a client must live with them
        body = json.dumps(content).encode()
    return Response(body, status, media_type="application/json")


def failed(message: str, code: str, status: int) -> Response:
    return answer({"errors": [{"message": message, "extensions": {"code": code}}]}, status)


class GraphQLEndpoint:
    """POST /graphql, with the latency and the limits that this server was given."""

    def __init__(self, sandbox: Sandbox, latency_ms: float, max_root_fields: int | None) -> None:
        self.sandbox = sandbox
        self.latency = latency_ms / 1000
        self.max_root_fields = max_root_fields

    async def respond(self, request: Request) -> Response:
        body = await request.body()
        if self.latency:
            await asyncio.sleep(self.latency)
        name, fields, response = self._respond(request, body)
        self.sandbox.requests.append(Recorded(name, fields, response.status_code))
        return response

    def _respond(self, request: Request, body: bytes) -> tuple[str | None, list[str], Response]:
        if not authorized(request):
            return None, [], answer(UNAUTHORIZED, 401)
        asked = _parsed(body)
        if asked is None:
            return None, [], failed("Request body is not a GraphQL request in JSON", "BAD_REQUEST", 400)
        text, variables, name = asked
        document, errors = documents.read(text)
        if document is None or errors:
            return name, [], answer({"errors": [error.formatted for error in errors]}, 400)
        return self._execute(document, variables, name)

    def _execute(
        self, document: DocumentNode, variables: dict[str, Any], name: str | None
    ) -> tuple[str | None, list[str], Response]:
        operation = documents.operation(document, name)
        if operation is None:
            return name, [], failed("Must provide the name of one operation", "BAD_REQUEST", 400)
        fields = documents.root_fields(document, operation)
        name = operation.name.value if operation.name else None
        if self.max_root_fields is not None and len(fields) > self.max_root_fields:
            return name, fields, failed("Query is too complex", "QUERY_TOO_COMPLEX", 200)
        result = documents.execute(self.sandbox.world, document, variables, name)
        return name, fields, answer(result.formatted)


def authorized(request: Request) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and token.strip() == TOKEN


def _parsed(body: bytes) -> tuple[str, dict[str, Any], str | None] | None:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(asked, dict):
        return None
    text, variables, name = asked.get("query"), asked.get("variables") or {}, asked.get("operationName")
    if not isinstance(text, str) or not isinstance(variables, dict) or not isinstance(name, str | None):
        return None
    return text, variables, name or None
