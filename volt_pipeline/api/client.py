"""The client: asks Volt patiently, at the pace Volt allows, and says plainly what went wrong.

    async with VoltClient(url, token) as volt:
        inbox = await volt.query("inbox", {"from": phone})
        walks = await volt.query_each("conversation", [{"from": phone, "to": contact} for contact in contacts])

Reads are retried (errors.py says which errors), all tries of one request within one deadline that begins with its
first try: waiting for a free slot is no failure. Mutations are sent once. An instance belongs to one event loop.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

from gql import Client
from gql.transport.exceptions import TransportError, TransportQueryError
from msgspec import Struct

from volt_pipeline.api import documents
from volt_pipeline.api.answers import (
    Reply,
    Verdict,
    answered,
    doubtful,
    judge,
    proof_of_no_effect,
    unanswered,
    undescribed,
)
from volt_pipeline.api.batch import Batch, Call
from volt_pipeline.api.documents import WHOLE, Document, Request
from volt_pipeline.api.errors import ContractError, RateLimited, TransientError, Unreachable, VoltError, Withdrawn
from volt_pipeline.api.pacing import Clock, Pacing, Patience
from volt_pipeline.api.redaction import redact, strings
from volt_pipeline.api.sizes import Learned
from volt_pipeline.api.tokens import usable_token
from volt_pipeline.api.transport import Exchange, NotConnected, VoltSession, VoltTransport, usable_url

__all__ = ["Reply", "Usage", "VoltClient"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Usage:
    """What this client asked of Volt. `throttled` counts answers that asked to slow down; `bytes` are decompressed."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    bytes: int = 0
    by_operation: Counter[str] = field(default_factory=Counter)  # requests by operation


class VoltClient:
    """Volt's API, asked over one lasting session; open it with `async with`.

    At most `concurrency` requests run at once; how many do is learned (pacing.py). `timeout` is for one exchange,
    `deadline` for all tries of one request, `unreachable_after` for an API that never answered this client (seconds).
    `batch` is the most items that `query_each` puts in one document. Raises ContractError or AuthError for an address
    or token that cannot be used.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        concurrency: int = 32,
        timeout: float = 30.0,
        deadline: float = 120.0,
        unreachable_after: float = 10.0,
        max_response_bytes: int = 64 * 2**20,
        batch: int = 25,
        clock: Clock | None = None,
    ) -> None:
        self.usage = Usage()
        self._token = usable_token(token)
        self._timeout = timeout
        self._deadline = deadline
        self._unreachable_after = unreachable_after
        self._max_response_bytes = max_response_bytes
        self._clock = clock or Clock()
        self._pacing = Pacing(concurrency, self._clock)
        self._learned = Learned(batch)
        self._reached = False
        self._first_tried: float | None = None
        transport = VoltTransport(
            usable_url(url),
            self._token,
            agent=f"volt-pipeline/{_version()}",
            connections=concurrency,
            most_bytes=max_response_bytes,
            clock=self._clock,
        )
        self._session = VoltSession(Client(transport=transport))

    def __repr__(self) -> str:
        return "<VoltClient>"

    async def __aenter__(self) -> Self:
        await self._session.connect()  # type: ignore[no-untyped-call]  # gql's
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()  # type: ignore[no-untyped-call]

    async def query(self, operation: str, variables: Mapping[str, Any], *, without: frozenset[str] = WHOLE) -> Reply:
        """Ask one query (API text: Queries). The reply has no error: any VoltError is raised.

        `without` leaves fields out of the question, each as `Type.field` ("Message.body"), wherever they stand in it.
        """
        call = self._prepare(documents.query(operation, without), variables)
        async with self._pacing.slot():
            verdict = await self._read(call, self._patience())
        if verdict.values[operation] is not None:
            self._learned.works.add(operation)
        return Reply(verdict.values[operation], call.asked_at, partial=verdict.partial.get(operation))

    async def query_each(
        self,
        operation: str,
        variables: Sequence[Mapping[str, Any]],
        *,
        without: frozenset[str] = WHOLE,
        shape: type[Struct] | None = None,
    ) -> list[Reply]:
        """Ask one query for many items, several to a document; the replies come in the items' order.

        `without` leaves fields out of the question, as in `query`. Values come in `shape` where all of a document's
        do and nothing in it failed: that is decoded faster, into less memory; otherwise they are plain.

        What concerns one item lands in its `Reply.error`: NotFound, ContractError, ServerError, and TransientError
        for an item that goes unanswered while others are answered. What concerns the run is raised: AuthError
        (unless the token merely may not see one item), RateLimited, Unreachable, TransientError when nobody is
        answered, ContractError when Volt refuses the query itself.
        """
        asked = documents.query(operation, without)
        for item in variables:
            asked.check(item)
        batch = Batch(
            operation,
            variables,
            learned=self._learned,
            pacing=self._pacing,
            patience=self._patience,
            prepare=partial(self._prepare, shape=shape),
            read=self._read,
            without=without,
        )
        return await batch.run()

    async def introspect(self) -> Reply:
        """Volt's own description of its API: the value of `__schema`, as GraphQL defines it.

        Raises ContractError when Volt answers but does not describe itself; other VoltErrors as `query` does.
        """
        failure: VoltError
        for asked in documents.introspections():
            call = self._prepare(asked, {})
            try:
                async with self._pacing.slot():
                    verdict = await self._read(call, self._patience())
                if verdict.values["__schema"] is not None:
                    return Reply(verdict.values["__schema"], call.asked_at, partial=verdict.partial.get("__schema"))
                refusal: VoltError = ContractError(asked.operation, "Volt describes nothing")
            except VoltError as error:
                refusal = error
            failure = undescribed(asked.operation, refusal, call.exchange, proven=bool(self._learned.works))
            if failure is refusal:
                break  # not for the question's sake, so an older form of it fares no better
        raise failure

    async def mutate(
        self, operation: str, variables: Mapping[str, Any], *, unless: Callable[[], str] = lambda: ""
    ) -> Reply:
        """Send one mutation (API text: Mutations), once. A value in the reply is what Volt says it did.

        Where it may have been carried out although no good answer came (timeout, lost connection, HTTP 5xx, cut
        body, an error beside `"data": null`), TransientError is raised with `ambiguous` true; its `because` is
        Volt's own error, if it gave one. Every other VoltError means that nothing was done. What proves that by the
        letter is the error's `proof`. `unless` is that of `mutate_each`.
        """
        call = self._prepare(documents.mutation(operation), variables)
        failure: VoltError
        async with self._pacing.slot():
            try:
                verdict = await self._once(call, self._deadline, unless)
            except Withdrawn as error:
                failure = error
            except VoltError as error:
                failure = doubtful(operation, error, executed=call.exchange.executed)
            else:
                if operation in verdict.values:
                    return Reply(verdict.values[operation], call.asked_at, partial=verdict.partial.get(operation))
                deep = operation in verdict.deep
                failure = doubtful(operation, verdict.failed[operation], executed=True, deep=deep)
        failure.proof = proof_of_no_effect(failure, call.exchange)
        raise failure

    async def mutate_each(
        self, operation: str, variables: Sequence[Mapping[str, Any]], *, unless: Callable[[], str] = lambda: ""
    ) -> list[Reply]:
        """Send one mutation for several items in one document, once; the replies come in the items' order.

        For mutations that can be read back. Where Volt tells the items apart, each item's error is in its reply; an
        ambiguous one (TransientError) has `because` where Volt blames that item, and is `beside` where another item
        of the document left this one without an answer. What concerns them all is raised, as `mutate` raises it.
        `unless` is asked last of all, when nothing is left to wait for; a reason raises Withdrawn, and nothing is sent.
        """
        document = documents.aliased_mutation(operation, len(variables))
        for item in variables:
            documents.mutation(operation).check(item)
        call = self._prepare(document, documents.spread(variables))
        failure: VoltError
        async with self._pacing.slot():
            try:
                verdict = await self._once(call, self._deadline, unless)
            except Withdrawn:
                raise
            except VoltError as error:
                failure = doubtful(operation, error, executed=call.exchange.executed)
            else:
                return answered(document, verdict, call.asked_at)
        raise failure

    def _prepare(self, asked: Document, variables: Mapping[str, Any], shape: type[Struct] | None = None) -> Call:
        asked.check(variables)
        return Call(asked, variables, Exchange(self._clock.now(), self._timeout, shape))

    def _patience(self) -> Patience:
        return Patience(self._pacing, self._deadline)

    async def _read(self, call: Call, patience: Patience) -> Verdict:
        """Ask until there is an answer, an error that no retry helps, or the deadline. The caller holds a slot."""
        alone = len(call.document.keys) == 1
        while True:
            failure: VoltError
            try:
                verdict = await self._once(call, patience.left)
            except VoltError as error:
                failure = error
            else:
                if not (alone and verdict.failed):
                    return verdict
                (failure,) = verdict.failed.values()
            failure, soon = self._never_reached(failure)
            delay = patience.wait(failure, call.most_tries(failure))
            if delay is None or soon <= 0:
                raise failure
            self.usage.retries += 1
            log.info("%s Asking again (try %d).", failure, patience.tries + 1)
            await self._clock.sleep(min(delay, soon))

    def _never_reached(self, failure: VoltError) -> tuple[VoltError, float]:
        """The failure, as Unreachable once the API was given its time to appear; and how long it still has."""
        if self._reached or self._first_tried is None or not isinstance(failure, TransientError):
            return failure, float("inf")
        left = self._first_tried + self._unreachable_after - self._clock.monotonic()
        if left > 0:
            return failure, left
        message = f"{failure.message} Nothing ever answered there: check VOLT_API_URL, and this machine's way to it."
        return Unreachable(failure.operation, message, whole=True), 0.0

    async def _once(self, call: Call, limit: float, unless: Callable[[], str] = lambda: "") -> Verdict:
        """One exchange, counted, and its verdict; raises the VoltError of the whole document."""
        operation = call.document.operation
        until = self._clock.monotonic() + limit
        await self._pacing.ready(operation, limit)
        if reason := unless():
            raise Withdrawn(operation, f"Not sent: {reason}", whole=True)
        limit = until - self._clock.monotonic()
        if self._first_tried is None:
            self._first_tried = self._clock.monotonic()
        exchange = call.exchange = Exchange(self._clock.now(), max(0.1, min(self._timeout, limit)), call.exchange.shape)
        left_at = self._pacing.left()
        self.usage.requests += 1
        self.usage.by_operation[operation] += 1

        def scrub(text: object) -> str:
            return redact(text, self._token, *strings(call.variables))

        failures: list[VoltError] | None = None  # None: cancelled, so nobody knows
        try:
            data, errors = await self._exchange(call)
            verdict = judge(call.document, exchange, data, errors, scrub)
            failures = list(verdict.failed.values())
            return verdict
        except VoltError as error:
            failures = [error]
            raise
        finally:
            self.usage.bytes += exchange.size
            self.usage.throttled += any(isinstance(error, RateLimited) for error in failures or ())
            self._pacing.returned(operation, left_at, status=exchange.status, size=exchange.size, failures=failures)

    async def _exchange(self, call: Call) -> tuple[Mapping[str, Any] | None, Sequence[Mapping[str, Any]]]:
        """What Volt answered: data and errors. Raises the VoltError of a request that brought neither."""
        failure: VoltError
        try:
            result = await self._session.execute(
                Request(call.document, call.variables), get_execution_result=True, exchange=call.exchange
            )
            self._reached = True
            return result.data, ()
        except TransportQueryError as error:
            self._reached = True
            return error.data, error.errors or ()
        except TransportError as error:
            operation = call.document.operation
            failure = unanswered(operation, error, call.exchange, self._max_response_bytes)
            self._reached = self._reached or not isinstance(error, NotConnected)
        # Raised out here: gql's errors may quote Volt, and ours must not carry them as their context.
        raise failure


def _version() -> str:
    try:
        return version("volt-pipeline")
    except PackageNotFoundError:
        return "0"
