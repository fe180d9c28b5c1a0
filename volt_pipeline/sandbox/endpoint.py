"""The one endpoint that Volt has: POST /graphql, with its token, its refusals and a record of what was asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import DocumentNode, GraphQLSchema, OperationType
from starlette.requests import Request
from starlette.responses import Response

from . import documents
from .access import TOKEN
from .disturbances import NO_ANSWER, STAND_IN, has_left, too_many_requests
from .fault_drift import drifted
from .faults import Asked, Faults
from .faulty_execution import FaultyExecution
from .resolvers import schema
from .world import World

UNAUTHORIZED = {"errors": [{"message": "Unauthorized", "extensions": {"code": "UNAUTHENTICATED"}}]}


@dataclass(slots=True, frozen=True)
class Recorded:
    """One HTTP request to /graphql: what was asked, and the HTTP status of the answer (0 where there was none)."""

    operation: str | None
    root_fields: list[str]
    status: int


@dataclass(slots=True)
class Sandbox:
    """A running server, as tests see it. `world` and `faults` may be exchanged for others between two requests."""

    world: World
    token: str = TOKEN
    url: str = ""
    requests: list[Recorded] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)


@dataclass(slots=True, frozen=True)
class _Operation:
    """A request that is to be executed."""

    contract: GraphQLSchema
    document: DocumentNode
    asked: Asked


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
        faults = self.sandbox.faults
        name, fields, found = self._understood(request, body, faults)
        response = found if isinstance(found, Response) else await self._answered(request, found, faults)
        self.sandbox.requests.append(Recorded(name, fields, response.status_code))
        return response

    def _understood(
        self, request: Request, body: bytes, faults: Faults
    ) -> tuple[str | None, list[str], Response | _Operation]:
        if not authorized(request) or faults.revoked == "401":
            return None, [], answer(UNAUTHORIZED, 401)
        asked = _parsed(body)
        if asked is None:
            return None, [], failed("Request body is not a GraphQL request in JSON", "BAD_REQUEST", 400)
        text, variables, name = asked
        contract = schema() if faults.drift is None else drifted(faults.drift)
        document, errors = documents.read(text, contract)
        if document is None or errors:
            return name, [], answer({"errors": [error.formatted for error in errors]}, 400)
        operation = documents.operation(document, name)
        if operation is None:
            return name, [], failed("Must provide the name of one operation", "BAD_REQUEST", 400)
        fields = documents.root_fields(document, operation)
        name = operation.name.value if operation.name else None
        if faults.revoked == "unauthenticated":
            return name, fields, answer(UNAUTHORIZED)
        is_too_long = self.max_root_fields is not None and len(fields) > self.max_root_fields
        if is_too_long or faults.is_too_complex(fields):
            return name, fields, failed("Query is too complex", "QUERY_TOO_COMPLEX", 200)
        is_mutation = operation.operation is OperationType.MUTATION
        return name, fields, _Operation(contract, document, Asked(name, fields, variables, is_mutation))

    async def _answered(self, request: Request, operation: _Operation, faults: Faults) -> Response:
        if faults.rate_limit is not None and not faults.rate_limit.admits():
            return too_many_requests(faults.rate_limit.retry_after).make(STAND_IN)
        trouble = faults.struck(operation.asked)
        if trouble is None:
            return self._executed(operation, faults)
        disturbance = trouble.disturbance
        may_execute = trouble.after_effect or (disturbance.tears_the_body and not operation.asked.is_mutation)
        right = bytes(self._executed(operation, faults).body) if may_execute else None
        if disturbance.seconds:
            if await has_left(request, disturbance.seconds):
                return Response(status_code=NO_ANSWER)
            right = right or bytes(self._executed(operation, faults).body)
        return disturbance.make(STAND_IN if right is None else right)

    def _executed(self, operation: _Operation, faults: Faults) -> Response:
        execution = FaultyExecution(faults) if faults.errs_in_execution else None
        result = documents.execute(
            self.sandbox.world,
            operation.contract,
            operation.document,
            operation.asked.variables,
            operation.asked.operation,
            None if execution is None else execution.middleware(),
        )
        if execution is not None:
            execution.apply(result.data)
        response = answer(result.formatted)
        if faults.rewrite is None:
            return response
        return Response(faults.rewrite(operation.asked, bytes(response.body)), media_type="application/json")


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
