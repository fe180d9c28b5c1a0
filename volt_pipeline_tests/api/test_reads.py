"""One query: each way that Volt can fail, how often it is asked again, and what a person is told."""

from __future__ import annotations

import pickle
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from graphql import GraphQLObjectType, build_schema, print_schema

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.contract import published
from volt_pipeline.api.errors import (
    AuthError,
    ContractError,
    NotFound,
    RateLimited,
    ServerError,
    TooComplex,
    TransientError,
    Unreachable,
    VoltError,
)

from .executing import executing
from .scripted import TOKEN, Hands, Say, ScriptedVolt, data, failing, serving

GOOD = data(message={"id": "rf_1"})
WANTED = {"id": "rf_1"}


async def test_a_value_comes_with_the_time_it_was_asked(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(GOOD)
    reply = await client.query("message", WANTED)
    assert reply.value == {"id": "rf_1"}
    assert reply.asked_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (reply.error, reply.partial) == (None, None)
    (asked,) = volt.asked
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["User-Agent"].startswith("volt-pipeline/")
    assert "gzip" in asked.headers["Accept-Encoding"]
    assert (asked.operation, asked.variables) == ("message", WANTED)


async def test_a_null_without_an_error_is_an_answer(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(data(message=None))
    assert (await client.query("message", WANTED)).value is None


async def test_an_error_inside_a_value_is_reported_beside_it(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("boom", path=["message", "wave"], data={"message": {"id": "rf_1", "wave": None}}))
    reply = await client.query("message", WANTED)
    assert reply.value == {"id": "rf_1", "wave": None}
    assert reply.error is None
    assert isinstance(reply.partial, ServerError)


async def test_an_error_that_names_nobody_is_reported_beside_a_value(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("boom", data={"message": {"id": "rf_1"}}))
    reply = await client.query("message", WANTED)
    assert (reply.value, reply.error) == ({"id": "rf_1"}, None)
    assert isinstance(reply.partial, ServerError)


GARBLED = {
    "empty": Say(b""),
    "half JSON": Say(b'{"data": {"message"'),
    "a page": Say(b"<html>Welcome to our hotel's Wi-Fi</html>", headers={"Content-Type": "text/html"}),
    "cut": Say({"data": {"message": {"id": "rf_1"}}}, cut=True),
    "dropped": Say(drop=True),
    "null": Say(b"null"),
    "a list": Say(b"[1]"),
    "null data": Say({"data": None}),
    "listed data": Say({"data": [1]}),
    "other data": data(inbox=None),
    "no data": Say({"status": "ok"}),
    "bad gzip": Say(b"nonsense", headers={"Content-Encoding": "gzip"}),
    "500": Say({"errors": [{"message": "Internal"}]}, 500),
    "502": Say(b"<html>bad gateway</html>", 502),
    "503": Say(b"", 503),
    "408": Say(b"", 408),
}


@pytest.mark.parametrize("bad", GARBLED.values(), ids=GARBLED)
async def test_what_may_pass_is_asked_again(client: VoltClient, volt: ScriptedVolt, hands: Hands, bad: Say) -> None:
    volt.says(bad, bad, GOOD)
    reply = await client.query("message", WANTED)
    assert reply.value == {"id": "rf_1"}
    assert hands.slept == [0.2, 0.4]
    assert (client.usage.requests, client.usage.retries) == (3, 2)
    assert reply.asked_at == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=0.6)


@pytest.mark.parametrize("bad", GARBLED.values(), ids=GARBLED)
async def test_what_does_not_pass_ends_with_the_deadline(
    client: VoltClient, volt: ScriptedVolt, hands: Hands, bad: Say
) -> None:
    volt.says(bad)
    with pytest.raises(TransientError) as caught:
        await client.query("message", WANTED)
    assert not isinstance(caught.value, Unreachable)
    assert hands.slept == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, *[10.0] * 10]
    assert hands.seconds <= 120


REFUSED: dict[str, tuple[Say, type[VoltError], int]] = {
    "401": (Say({"message": "no"}, 401), AuthError, 1),
    "403 page": (Say(b"<html>", 403), AuthError, 1),
    "unauthenticated": (failing("x", "UNAUTHENTICATED"), AuthError, 1),
    "forbidden": (failing("x", "FORBIDDEN", path=["message"], data={"message": None}), AuthError, 1),
    "500 for a token": (failing("x", "UNAUTHENTICATED", status=500), AuthError, 1),
    "jwt words": (failing("jwt expired", status=400), AuthError, 1),
    "not found": (failing("x", "NOT_FOUND", path=["message"], data={"message": None}), NotFound, 1),
    "not found words": (failing("Message not found", "INTERNAL_SERVER_ERROR", data={"message": None}), NotFound, 1),
    "not found, HTTP 400": (failing("Message not found", path=["message"], data=None, status=400), NotFound, 1),
    "404": (Say(b"not found", 404), ContractError, 1),
    "404 in JSON": (failing("Not Found", status=404), ContractError, 1),
    "too complex": (failing("x", "QUERY_TOO_COMPLEX", status=400), TooComplex, 1),
    "too deep words": (failing("'message' exceeds maximum operation depth of 5"), TooComplex, 1),
    "413": (Say(b"", 413), TooComplex, 1),
    "field is gone": (failing('Cannot query field "x" on type "Message"', status=400), ContractError, 1),
    "validation": (failing("x", "GRAPHQL_VALIDATION_FAILED"), ContractError, 1),
    "input": (failing("id is odd", "BAD_USER_INPUT", path=["message"], data={"message": None}), ContractError, 1),
    "400": (Say(b"no", 400), ContractError, 1),
    "400, unknown words": (failing("computer says no", status=400), ContractError, 1),
    "internal": (failing("boom", "INTERNAL_SERVER_ERROR", data={"message": None}), ServerError, 3),
    "unknown": (failing("computer says no", path=["message"], data={"message": None}), ServerError, 3),
    "a table is missing": (failing('relation "messages" does not exist', data={"message": None}), ServerError, 3),
    "errors is a text": (Say({"errors": "boom"}), ServerError, 3),
    "errors are texts": (Say({"errors": ["boom", None, 5]}), ServerError, 3),
}


@pytest.mark.parametrize(("bad", "kind", "tries"), REFUSED.values(), ids=REFUSED)
async def test_each_refusal_has_its_class(
    client: VoltClient, volt: ScriptedVolt, bad: Say, kind: type[VoltError], tries: int
) -> None:
    volt.says(bad)
    with pytest.raises(VoltError) as caught:
        await client.query("message", WANTED)
    assert type(caught.value) is kind
    assert len(volt.asked) == tries
    assert caught.value.operation == "message"
    assert str(caught.value).startswith("message: ")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), vars(again)) == (str(caught.value), vars(caught.value))


UNKNOWN_FIELDS = [
    'Cannot query field "sentBy" on type "Wave". Did you mean "sentAt"?',  # graphql-js, gqlgen, Absinthe
    "Cannot query field 'sentBy' on type 'Wave'.",  # graphql-core
    "Field 'sentBy' doesn't exist on type 'Wave'",  # graphql-ruby
    "Validation error (FieldUndefined@[wave/sentBy]) : Field 'sentBy' in type 'Wave' is undefined",  # graphql-java
    "The field `sentBy` does not exist on the type `Wave`.",  # Hot Chocolate
    'Unknown field "sentBy" on type "Wave".',  # Juniper, async-graphql
    "field 'sentBy' not found in type: 'Wave'",  # Hasura
]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("said", UNKNOWN_FIELDS)
async def test_a_field_that_volt_does_not_know_is_named(
    client: VoltClient, volt: ScriptedVolt, said: str, status: int
) -> None:
    volt.says(failing(said, status=status))
    expected = "wave: Volt does not know the field Wave.sentBy. Its API may have changed; run volt-pipeline doctor"
    with pytest.raises(ContractError) as caught:
        await client.query("wave", {"id": "1"})
    assert str(caught.value) == expected
    with pytest.raises(ContractError) as caught:
        await client.query_each("wave", [{"id": "1"}, {"id": "2"}])
    assert str(caught.value) == expected
    assert len(volt.asked) == 2


async def test_each_unknown_field_is_named_once_and_not_too_many(client: VoltClient, volt: ScriptedVolt) -> None:
    fields = ["name", "type", "name", *(f"field{number}" for number in range(5))]
    errors = [{"message": f'Cannot query field "{field}" on type "Wave".'} for field in fields]
    volt.says(Say({"errors": [*errors, {"message": "Syntax error"}]}, 400))
    with pytest.raises(ContractError) as caught:
        await client.query("wave", {"id": "1"})
    named = "Wave.name, Wave.type, Wave.field0, Wave.field1, Wave.field2 and 2 more"
    assert caught.value.message.startswith(f"Volt does not know the fields {named}.")


@pytest.mark.parametrize(
    "said",
    [
        'Field "wave" of type "Wave" must have a selection of subfields.',
        'Unknown argument "to" on field "Query.inbox".',
    ],
)
async def test_another_refusal_of_the_document_is_told_in_volts_words(
    client: VoltClient, volt: ScriptedVolt, said: str
) -> None:
    volt.says(failing(said, status=400))
    with pytest.raises(ContractError, match="run volt-pipeline doctor") as caught:
        await client.query("wave", {"id": "1"})
    assert f"it says: {said}" in str(caught.value)


async def test_a_field_that_is_gone_is_named_by_a_real_server(client: VoltClient, volt: ScriptedVolt) -> None:
    schema = build_schema(print_schema(published()))
    wave = schema.type_map["Wave"]
    assert isinstance(wave, GraphQLObjectType)
    del wave.fields["sentBy"]
    volt.says(executing(schema=schema))
    with pytest.raises(ContractError, match=r"know the field Wave\.sentBy\. "):
        await client.query_each("wave", [{"id": str(number)} for number in range(40)])
    assert (await client.query_each("wave", [{"id": "1"}], without=frozenset({"Wave.sentBy"})))[0].value["id"] == "7"
    assert (await client.query("message", {"id": "1"})).value["id"] == "7", "what does not need it goes on"


@pytest.mark.parametrize(
    "bad", [Say(b"", 429), failing("Slow down", "RATE_LIMITED"), failing("Too many requests, please try later")]
)
async def test_a_rate_limit_is_waited_out(client: VoltClient, volt: ScriptedVolt, hands: Hands, bad: Say) -> None:
    volt.says(bad, GOOD)
    await client.query("message", WANTED)
    assert client.usage.throttled == 1
    assert hands.slept == [0.2]
    volt.says(bad)
    with pytest.raises(RateLimited):
        await client.query("message", WANTED)


async def test_a_rate_limit_of_one_field_is_waited_out(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("slow", "THROTTLED", path=["message"], data={"message": None}), GOOD)
    await client.query("message", WANTED)
    assert client.usage.throttled == 1


def http_date(seconds: float) -> str:
    return format_datetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "7"},
        {"Retry-After": http_date(7), "Date": http_date(0)},
        {"Retry-After": http_date(3607), "Date": http_date(3600)},  # the server's clock is an hour ahead of ours
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(
    client: VoltClient, volt: ScriptedVolt, hands: Hands, headers: dict[str, str], status: int
) -> None:
    volt.says(Say(b"", status, headers), GOOD)
    await client.query("message", WANTED)
    assert sum(hands.slept) == pytest.approx(7)


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e9", "99999999999999999999", "Fri, 99 Foo 2026"])
async def test_a_retry_after_that_says_nothing_is_no_harm(
    client: VoltClient, volt: ScriptedVolt, hands: Hands, value: str
) -> None:
    volt.says(Say(b"", 429, {"Retry-After": value}), GOOD)
    await client.query("message", WANTED)
    assert hands.slept == [0.2]


async def test_a_graphql_error_may_tell_when_to_come_back(client: VoltClient, volt: ScriptedVolt, hands: Hands) -> None:
    volt.says(Say({"errors": [{"message": "x", "extensions": {"code": "THROTTLED", "retryAfter": 3}}]}), GOOD)
    await client.query("message", WANTED)
    assert sum(hands.slept) == pytest.approx(3)


async def test_a_pause_holds_for_everyone(client: VoltClient, volt: ScriptedVolt, hands: Hands) -> None:
    volt.says(Say(b"", 429, {"Retry-After": "500"}), GOOD)
    with pytest.raises(RateLimited) as caught:
        await client.query("message", WANTED)
    assert caught.value.retry_after == 500
    with pytest.raises(RateLimited) as held_back:
        await client.query("message", WANTED)
    assert held_back.value.retry_after == 500
    assert len(volt.asked) == 1
    hands.seconds += 490
    await client.query("message", WANTED)
    assert hands.slept[-1] == pytest.approx(10)


async def test_an_api_that_was_never_reached_is_given_up_soon(hands: Hands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with VoltClient(f"http://127.0.0.1:{port}/graphql", TOKEN, clock=hands.clock) as client:
        with pytest.raises(Unreachable, match="VOLT_API_URL") as caught:
            await client.query("message", WANTED)
        assert hands.seconds == pytest.approx(10)
        assert not caught.value.ambiguous
        before = client.usage.requests
        with pytest.raises(Unreachable):
            await client.query_each("message", [WANTED] * 3)
        assert client.usage.requests == before + 1


async def test_an_api_that_was_reached_once_has_until_the_deadline(hands: Hands) -> None:
    async with serving() as volt:
        client = VoltClient(volt.url, TOKEN, clock=hands.clock)
        await client.__aenter__()
        volt.says(GOOD)
        await client.query("message", WANTED)
    with pytest.raises(TransientError, match="VOLT_API_URL") as caught:
        await client.query("message", WANTED)
    await client.__aexit__(None, None, None)
    assert not isinstance(caught.value, Unreachable)
    assert hands.seconds > 100


async def test_a_slow_answer_is_given_up(volt: ScriptedVolt) -> None:
    volt.says(Say(hang=True), GOOD)
    async with VoltClient(volt.url, TOKEN, timeout=0.2) as client:
        assert (await client.query("message", WANTED)).value == {"id": "rf_1"}
    assert len(volt.asked) == 2


async def test_the_deadline_bounds_a_single_exchange_too(volt: ScriptedVolt) -> None:
    volt.says(Say(hang=True))
    began = time.monotonic()
    async with VoltClient(volt.url, TOKEN, deadline=0.5, timeout=30) as client:
        with pytest.raises(TransientError):
            await client.query("message", WANTED)
    assert time.monotonic() - began < 5
