"""Mutations are sent once; whatever may have been carried out says so."""

from __future__ import annotations

from typing import Any

import pytest

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import (
    AuthError,
    ContractError,
    NotFound,
    RateLimited,
    TransientError,
    VoltError,
    Withdrawn,
)

from .scripted import TOKEN, Hands, Say, ScriptedVolt, data, failing

TEXT = {"to": "+15555550100", "from": "+15555550101", "body": "See you at noon"}
AT_ROOT: list[Any] = ["createMessage"]

AMBIGUOUS = {
    "500": Say(b"", 500),
    "502": Say(b"<html>", 502),
    "503": Say(b"", 503, {"Retry-After": "1"}),
    "408": Say(b"", 408),
    "cut": Say({"data": {"createMessage": {"id": "rf_1"}}}, cut=True),
    "dropped": Say(drop=True),
    "page": Say(b"<html>"),
    "empty": Say(b""),
    "null data": Say({"data": None}),
    "null data, error": failing("boom", path=AT_ROOT, data=None),
    "null data, not found": failing("x", "NOT_FOUND", path=AT_ROOT, data=None),
    "null data, input": failing("x", "BAD_USER_INPUT", path=AT_ROOT, data=None),
    "null data, throttled": failing("x", "THROTTLED", path=AT_ROOT, data=None),
    "forbidden below": failing("x", "FORBIDDEN", path=["createMessage", "status"], data=None),
    "input, a path, no data": failing("x", "BAD_USER_INPUT", path=AT_ROOT),
    "throttled, a path, no data": failing("x", "THROTTLED", path=AT_ROOT),
    "unknown error": failing("boom"),
    "not found, no data": failing("Contact not found"),
    "too large": Say(b'{"data": {"createMessage": {"id": "' + b"x" * 5000 + b'"}}}'),
}


@pytest.mark.parametrize("answer", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_what_may_have_happened_is_ambiguous_and_never_sent_again(volt: ScriptedVolt, answer: Say) -> None:
    volt.says(answer)
    async with VoltClient(volt.url, TOKEN, max_response_bytes=4096) as client:
        with pytest.raises(TransientError) as caught:
            await client.mutate("createMessage", TEXT)
    assert caught.value.ambiguous
    assert len(volt.asked) == 1
    assert client.usage.retries == 0
    assert caught.value.__context__ is None


async def test_a_timeout_is_ambiguous(volt: ScriptedVolt) -> None:
    volt.says(Say(hang=True))
    async with VoltClient(volt.url, TOKEN, timeout=0.2) as client:
        with pytest.raises(TransientError) as caught:
            await client.mutate("createMessage", TEXT)
    assert (caught.value.ambiguous, caught.value.timed_out, len(volt.asked)) == (True, True, 1)


REFUSED: dict[str, tuple[Say, type[VoltError]]] = {
    "401": (Say(b"", 401), AuthError),
    "403": (Say(b"", 403), AuthError),
    "forbidden": (failing("x", "FORBIDDEN", path=AT_ROOT, data=None), AuthError),
    "429": (Say(b"", 429), RateLimited),
    "throttled before": (failing("x", "THROTTLED"), RateLimited),
    "400": (Say(b"", 400), ContractError),
    "404": (Say(b"", 404), ContractError),
    "validation": (failing("x", "GRAPHQL_VALIDATION_FAILED", status=400), ContractError),
    "input": (failing("x", "BAD_USER_INPUT", status=400), ContractError),
    "redirect": (Say(b"", 307, {"Location": "/graphql"}), ContractError),
}


@pytest.mark.parametrize(("answer", "kind"), REFUSED.values(), ids=REFUSED)
async def test_a_plain_refusal_is_no_doubt(
    client: VoltClient, volt: ScriptedVolt, answer: Say, kind: type[VoltError]
) -> None:
    volt.says(answer)
    with pytest.raises(VoltError) as caught:
        await client.mutate("createMessage", TEXT)
    assert type(caught.value) is kind
    assert len(volt.asked) == 1


async def test_nothing_sent_is_no_doubt(hands: Hands) -> None:
    async with VoltClient("http://127.0.0.1:9/graphql", TOKEN, clock=hands.clock) as client:
        with pytest.raises(TransientError) as caught:
            await client.mutate("createMessage", TEXT)
    assert not caught.value.ambiguous
    assert client.usage.requests == 1


async def test_doubt_keeps_what_volt_said(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("Webhook not found", path=["deleteWebhook"], data={"deleteWebhook": None}))
    with pytest.raises(TransientError, match="Read it back") as caught:
        await client.mutate("deleteWebhook", {"id": "1"})
    assert isinstance(caught.value.because, NotFound)


async def test_an_answer_is_believed(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(data(createMessage={"id": "rf_1"}), data(deleteWebhook=None))
    assert (await client.mutate("createMessage", TEXT)).value == {"id": "rf_1"}
    assert (await client.mutate("deleteWebhook", {"id": "1"})).value is None
    assert [asked.variables for asked in volt.asked] == [TEXT, {"id": "1"}]


async def test_a_value_with_an_error_below_was_carried_out(client: VoltClient, volt: ScriptedVolt) -> None:
    below = failing("boom", path=["createMessage", "wave"], data={"createMessage": {"id": "rf_1", "wave": None}})
    volt.says(below)
    reply = await client.mutate("createMessage", TEXT)
    assert reply.value == {"id": "rf_1", "wave": None}
    assert reply.partial is not None


async def test_a_pause_holds_for_mutations_too(client: VoltClient, volt: ScriptedVolt, hands: Hands) -> None:
    volt.says(Say(b"", 429, {"Retry-After": "9"}), data(createMessage={"id": "rf_1"}))
    with pytest.raises(RateLimited):
        await client.mutate("createMessage", TEXT)
    assert hands.slept == []
    await client.mutate("createMessage", TEXT)
    assert hands.slept == [9.0]


PROOFS: dict[str, tuple[Say, str | None]] = {
    "429": (Say(b"", 429), "throttled"),
    "429, executed": (failing("x", "THROTTLED", status=429, data=None), None),
    "errors without data": (failing("boom"), "refused"),
    "input": (failing("x", "BAD_USER_INPUT", status=400), "refused"),
    "the token, in GraphQL": (failing("x", "UNAUTHENTICATED", status=401), "refused"),
    "the token, without a word": (Say(b"", 401), None),
    "a path": (failing("x", "BAD_USER_INPUT", path=AT_ROOT), None),
    "null data": (failing("x", "FORBIDDEN", path=AT_ROOT, data=None), None),
    "null data, throttled": (failing("x", "THROTTLED", data=None), None),
    "500, errors": (failing("boom", status=500), None),
    "408, errors": (failing("boom", status=408), None),
    "404": (Say(b"", 404), None),
    "redirect": (Say(b"", 307, {"Location": "/graphql"}), None),
    "dropped": (Say(drop=True), None),
    "cut": (Say({"data": {"createMessage": {"id": "rf_1"}}}, cut=True), None),
    "another root": (Say({"data": {}}), None),
}


@pytest.mark.parametrize(("answer", "proof"), PROOFS.values(), ids=PROOFS)
async def test_what_proves_that_nothing_was_done(
    client: VoltClient, volt: ScriptedVolt, answer: Say, proof: str | None
) -> None:
    volt.says(answer)
    with pytest.raises(VoltError) as caught:
        await client.mutate("createMessage", TEXT)
    assert caught.value.proof == proof


async def test_what_never_left_is_proven_by_that(client: VoltClient, volt: ScriptedVolt, hands: Hands) -> None:
    async with VoltClient("http://127.0.0.1:9/graphql", TOKEN, clock=hands.clock) as nowhere:
        with pytest.raises(TransientError) as caught:
            await nowhere.mutate("createMessage", TEXT)
    assert caught.value.proof == "unsent"
    volt.says(Say(b"", 429, {"Retry-After": "500"}), data(createMessage={"id": "rf_1"}))
    for proof in ("throttled", "unsent"):  # the second waits for nothing that lasts longer than it may
        with pytest.raises(RateLimited) as limited:
            await client.mutate("createMessage", TEXT)
        assert limited.value.proof == proof
    assert len(volt.asked) == 1


async def test_a_mutation_is_withdrawn_at_the_last_moment(client: VoltClient, volt: ScriptedVolt) -> None:
    with pytest.raises(Withdrawn, match="Not sent: its lease is over") as caught:
        await client.mutate("createMessage", TEXT, unless=lambda: "its lease is over")
    assert (caught.value.proof, volt.asked) == ("unsent", [])
