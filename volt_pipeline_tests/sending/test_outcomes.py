"""What an attempt came to: only a proof takes it back, and what befalls all others too stops the run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.api.client import Reply
from volt_pipeline.api.errors import (
    AuthError,
    ContractError,
    NotFound,
    RateLimited,
    ServerError,
    TransientError,
    VoltError,
)
from volt_pipeline.sending.intents import Intent
from volt_pipeline.sending.outcomes import LONGEST_WAIT, MOST_REFUSALS, backoff, of_error, of_reply
from volt_pipeline.sending.transitions import Evidence

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def intent(tries: int = 1) -> Intent:
    return Intent(1, "k", "message", "+19185550100", "Hi", NOW, to_phone="+19185550123", tries=tries)


def proven(error: VoltError, proof: Any) -> VoltError:
    error.proof = proof
    return error


ERRORS = st.sampled_from(
    [
        AuthError("createMessage", "x", whole=True),
        NotFound("createMessage", "x"),
        RateLimited("createMessage", "x", retry_after=7),
        ContractError("createMessage", "x"),
        ServerError("createMessage", "x"),
        TransientError("createMessage", "x", ambiguous=True),
        TransientError("createMessage", "x", whole=True),
    ]
)


@given(ERRORS, st.sampled_from([None, "unsent", "throttled", "refused"]), st.integers(1, 30))
def test_no_proof_is_a_doubt_and_a_proof_never_is(error: VoltError, proof: Any, tries: int) -> None:
    outcome = of_error(intent(tries), proven(error, proof), NOW)
    assert (outcome.evidence is Evidence.DOUBT) == (proof is None)
    assert outcome.proof == proof
    if outcome.evidence is Evidence.NO_EFFECT:
        assert outcome.due_at is not None
        assert outcome.due_at >= NOW + backoff(tries)


def test_volts_wish_for_quiet_is_respected() -> None:
    slow = proven(RateLimited("createMessage", "x", retry_after=7200), "throttled")
    outcome = of_error(intent(), slow, NOW)
    assert (outcome.due_at, bool(outcome.stop)) == (NOW + timedelta(hours=2), True)


def test_an_unknown_refusal_is_not_tried_for_ever() -> None:
    refusal = proven(ServerError("createMessage", "x"), "refused")
    assert of_error(intent(MOST_REFUSALS - 1), refusal, NOW).evidence is Evidence.NO_EFFECT
    assert of_error(intent(MOST_REFUSALS), refusal, NOW).evidence is Evidence.REFUSED


def test_the_waits_grow_up_to_an_hour() -> None:
    assert [backoff(tries).total_seconds() / 60 for tries in (0, 1, 2, 3, 7, 99)] == [1, 1, 2, 4, 60, 60]
    assert backoff(10**6) == LONGEST_WAIT


@pytest.mark.parametrize("value", [None, {}, {"id": None}, {"id": ""}, {"id": True}, "rf_1", []])
def test_an_answer_that_names_no_message_says_nothing(value: Any) -> None:
    assert of_reply(intent(), Reply(value, NOW)).evidence is Evidence.DOUBT


@pytest.mark.parametrize("given_id", ["rf_1", 12])
def test_an_answer_with_an_id_is_volts_word(given_id: Any) -> None:
    outcome = of_reply(intent(), Reply({"id": given_id}, NOW))
    assert (outcome.evidence, outcome.object_id) == (Evidence.ACCEPTED, str(given_id))
