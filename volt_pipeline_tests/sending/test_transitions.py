"""The decision table and the database's own: they are one, and no road leads from a doubt to a second text."""

from __future__ import annotations

from typing import get_args

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.sending.intents import State
from volt_pipeline.sending.transitions import NEEDS, NEXT, Evidence, follows
from volt_pipeline_tests.warehouse.loading import ask

STATES: tuple[State, ...] = get_args(State)
PERSON = {Evidence.PERSON_RETRIES, Evidence.PERSON_ABANDONS}
FINAL: set[State] = {"accepted", "rejected", "cancelled"}
EVIDENCE = st.lists(st.sampled_from(list(Evidence)), max_size=40)


@given(EVIDENCE)
def test_after_a_doubt_nothing_is_attempted_without_a_person(seen: list[Evidence]) -> None:
    state: State = "queued"
    in_doubt = False
    for evidence in seen:
        before, state = state, follows(state, evidence)
        in_doubt = (in_doubt or state == "unknown") and evidence not in PERSON
        if state == "attempting" and before != "attempting":
            assert not in_doubt


@given(st.sampled_from(STATES), EVIDENCE)
def test_what_is_over_stays_over(state: State, seen: list[Evidence]) -> None:
    for evidence in seen:
        after = follows(state, evidence)
        assert state not in FINAL or after == state
        state = after


@given(st.sampled_from(list(Evidence)))
def test_only_a_proof_takes_an_attempt_back(evidence: Evidence) -> None:
    backwards = follows("attempting", evidence) in ("queued", "held", "rejected", "cancelled")
    assert backwards == (evidence in (Evidence.NO_EFFECT, Evidence.REFUSED))


def test_every_state_but_the_final_ones_has_a_way_out() -> None:
    assert {state for state, _ in NEXT} == set(STATES) - FINAL


def test_the_database_keeps_the_same_table(warehouse_url: str) -> None:
    kept = {
        (before, after): needs
        for before, after, needs in ask(
            warehouse_url, "SELECT from_state, to_state, needs FROM volt_ops.outbox_transitions"
        )
    }
    decided = {(before, after) for (before, _), after in NEXT.items() if before != after}
    assert kept == {pair: NEEDS.get(pair, "") for pair in decided}


# What an update must bring along to be let through, if its transition is allowed at all.
MOVE = """
UPDATE volt_ops.outbox
SET state = %s, claimed_by = 'me', attempted_at = now(), tries = tries + (%s = 'attempting')::integer,
    proof = 'unsent', decided_by = 'ann', decided_why = 'looked', decided_at = clock_timestamp()
"""
ROADS: dict[State, tuple[State, ...]] = {
    "queued": (),
    "held": ("held",),
    "attempting": ("attempting",),
    "accepted": ("attempting", "accepted"),
    "rejected": ("rejected",),
    "unknown": ("attempting", "unknown"),
    "needs_person": ("needs_person",),
    "cancelled": ("cancelled",),
}


@pytest.mark.parametrize("state", STATES)
def test_the_database_refuses_every_other_transition(warehouse_url: str, state: State) -> None:
    allowed = {after for (before, _), after in NEXT.items() if before == state}
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO volt_ops.outbox (intent_key, kind, account_phone, to_phone, body) "
            "VALUES ('k', 'message', '+15555550001', '+15555550002', 'Hi')"
        )
        for step in ROADS[state]:
            connection.execute(MOVE, [step, step])
        for after in set(STATES) - {state}:
            with connection.transaction(force_rollback=True):
                if after in allowed:
                    connection.execute(MOVE, [after, after])
                else:
                    with pytest.raises(psycopg.errors.CheckViolation, match=f"cannot go from {state} to {after}"):
                        connection.execute(MOVE, [after, after])
