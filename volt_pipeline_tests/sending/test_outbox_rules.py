"""What the database itself sees to, whoever writes to the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from volt_pipeline_tests.sendings import intend
from volt_pipeline_tests.warehouse.loading import ask

PLAIN = (
    "INSERT INTO volt_ops.outbox (intent_key, kind, account_phone, to_phone, body) "
    "VALUES ('k', 'message', '+15555550001', '+15555550002', 'Hi')"
)
ATTEMPT = "state = 'attempting', claimed_by = 'me', attempted_at = now(), tries = tries + 1"
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def analyst(warehouse_url: str) -> Iterator[Connection]:
    """A connection, and one intent by a plain insert."""
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        connection.execute(PLAIN)
        yield connection


def update(connection: Connection, what: str) -> None:
    connection.execute(f"UPDATE volt_ops.outbox SET {what}".encode())


def test_a_plain_insert_is_queued_expires_and_leaves_an_event(analyst: Connection) -> None:
    ((state, hours),) = analyst.execute(
        "SELECT state, extract(epoch FROM expires_at - created_at) / 3600 FROM volt_ops.outbox"
    ).fetchall()
    assert (state, hours) == ("queued", 24)
    assert analyst.execute(
        "SELECT from_state, to_state, actor = session_user FROM volt_ops.outbox_events"
    ).fetchall() == [(None, "queued", True)]


def test_a_repeated_insert_is_harmless(analyst: Connection) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        analyst.execute(PLAIN)
    analyst.execute(f"{PLAIN} ON CONFLICT DO NOTHING".encode())
    assert analyst.execute("SELECT count(*) FROM volt_ops.outbox").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "given",
    [
        {"state": "attempting"},
        {"state": "accepted", "message_id": "rf_1"},
        {"tries": 1},
        {"claimed_by": "me"},
        {"message_id": "rf_1"},
        {"left_queued": True},
    ],
    ids=str,
)
def test_an_intent_begins_as_queued(warehouse_url: str, given: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="begins as queued"):
        intend(warehouse_url, account_phone="+15555550001", to_phone="+15555550002", **given)


@pytest.mark.parametrize(
    "given",
    [
        {"to_phone": "555-0102"},
        {"to_phone": None},
        {"body": ""},
        {"kind": "letter"},
        {"kind": "wave", "to_phone": None, "list_names": ["All"], "scheduled_at": "2027-01-01"},
        {"kind": "scheduled_message", "to_phone": None, "scheduled_at": "2027-01-01"},
        {"scheduled_at": "2027-01-01"},
        {"intent_key": ""},
    ],
    ids=str,
)
def test_an_intent_that_makes_no_sense_is_refused(warehouse_url: str, given: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        intend(warehouse_url, **{"account_phone": "+15555550001", "to_phone": "+15555550002", **given})


def test_nothing_is_deleted(analyst: Connection) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="volt-pipeline send cancel"):
        analyst.execute("DELETE FROM volt_ops.outbox")
    for table in ("outbox", "outbox_events"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="a record"):
            analyst.execute(f"TRUNCATE volt_ops.{table} CASCADE".encode())
    for change in ("DELETE FROM volt_ops.outbox_events", "UPDATE volt_ops.outbox_events SET reason = 'x'"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="outbox_events is a record"):
            analyst.execute(change.encode())


IDENTITY = [
    "body = 'Ho'",
    "to_phone = '+15555550003'",
    "account_phone = '+15555550009'",
    "intent_key = 'other'",
    "media = '{https://example.com/a.png}'",
    "kind = 'wave', to_phone = NULL, list_names = '{All}', wave_name = 'w', scheduled_at = now()",
]


@pytest.mark.parametrize("change", IDENTITY)
def test_what_an_intent_says_may_change_only_while_it_has_never_left_the_queue(
    analyst: Connection, change: str
) -> None:
    with analyst.transaction(force_rollback=True):
        update(analyst, change)
    for moves in (["state = 'held'"], ["state = 'held'", "state = 'queued'"], ["claimed_by = 'me'"], [ATTEMPT]):
        with analyst.transaction(force_rollback=True):
            for move in moves:
                update(analyst, move)
            with pytest.raises(psycopg.errors.CheckViolation, match="what it says cannot change"):
                update(analyst, change)


def test_not_even_in_the_same_breath(analyst: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="what it says cannot change"):
        update(analyst, "state = 'held', body = 'Ho'")
    update(analyst, "state = 'held'")
    with pytest.raises(psycopg.errors.CheckViolation, match="left_queued"):
        update(analyst, "left_queued = false")


def test_an_attempt_is_taken_back_only_with_a_proof_of_its_own(analyst: Connection) -> None:
    update(analyst, ATTEMPT)
    update(analyst, "state = 'queued', proof = 'unsent'")
    update(analyst, ATTEMPT)
    for state in ("queued", "rejected"):
        with pytest.raises(psycopg.errors.CheckViolation, match="only with a proof"):
            update(analyst, f"state = '{state}'")


def test_only_the_sender_that_has_claimed_it_attempts_it(analyst: Connection) -> None:
    for careless in ("state = 'attempting'", "state = 'attempting', claimed_by = 'me', tries = 1"):
        with pytest.raises(psycopg.errors.CheckViolation, match="only by the sender that has claimed it"):
            update(analyst, careless)


@pytest.mark.parametrize("state", ["queued", "cancelled"])
def test_a_doubt_is_decided_only_by_somebody_with_a_name_and_a_reason(analyst: Connection, state: str) -> None:
    decision = f"state = '{state}', decided_by = 'ann', decided_why = 'looked', decided_at = clock_timestamp()"
    update(analyst, ATTEMPT)
    update(analyst, "state = 'unknown'")
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot go from unknown"):
        update(analyst, decision)
    update(analyst, "state = 'needs_person'")
    for short in (f"state = '{state}'", decision.replace("'ann'", "''"), decision.replace("'looked'", "NULL")):
        with pytest.raises(psycopg.errors.CheckViolation, match="only a person"):
            update(analyst, short)
    update(analyst, decision)
    (last,) = analyst.execute(
        "SELECT decided_by, decided_why, to_state FROM volt_ops.outbox_events ORDER BY event_id DESC LIMIT 1"
    ).fetchall()
    assert last == ("ann", "looked", state)
    if state == "queued":  # an old decision is none
        for step in (ATTEMPT, "state = 'unknown'", "state = 'needs_person'"):
            update(analyst, step)
        with pytest.raises(psycopg.errors.CheckViolation, match="only a person"):
            update(analyst, "state = 'queued'")


def test_two_intents_are_never_one_message(warehouse_url: str) -> None:
    people = {"account_phone": "+15555550001", "to_phone": "+15555550002"}
    for _ in range(2):
        intend(warehouse_url, **people)
    ask(warehouse_url, f"UPDATE volt_ops.outbox SET {ATTEMPT}")
    with pytest.raises(psycopg.errors.UniqueViolation):
        ask(warehouse_url, "UPDATE volt_ops.outbox SET state = 'accepted', message_id = 'rf_1'")


def test_two_texts_alike_to_one_person_are_not_in_doubt_at_once(warehouse_url: str) -> None:
    people = {"account_phone": "+15555550001", "to_phone": "+15555550002"}
    for _ in range(2):
        intend(warehouse_url, **people)
    with pytest.raises(psycopg.errors.UniqueViolation, match="outbox_one_in_doubt_idx"):
        ask(warehouse_url, f"UPDATE volt_ops.outbox SET {ATTEMPT}, match_key = 'same words'")


def test_an_attempt_is_on_disk_when_its_commit_returns(analyst: Connection) -> None:
    analyst.execute("SET synchronous_commit = off")
    with analyst.transaction():
        update(analyst, "reason = 'nothing that matters'")
        assert analyst.execute("SHOW synchronous_commit").fetchall() == [("off",)]
    with analyst.transaction():
        update(analyst, ATTEMPT)
        assert analyst.execute("SHOW synchronous_commit").fetchall() == [("on",)]
    assert analyst.execute("SHOW synchronous_commit").fetchall() == [("off",)]


def test_every_move_leaves_an_event_with_its_actor(analyst: Connection) -> None:
    analyst.execute("SELECT set_config('volt_ops.actor', 'run-7', false)")
    update(analyst, "state = 'held', reason = 'quiet hours'")
    update(analyst, "reason = 'cap'")
    update(analyst, "due_at = now()")  # no news
    update(analyst, "state = 'cancelled', reason = NULL")
    assert analyst.execute(
        "SELECT from_state, to_state, reason, actor FROM volt_ops.outbox_events ORDER BY event_id OFFSET 1"
    ).fetchall() == [
        ("queued", "held", "quiet hours", "run-7"),
        ("held", "held", "cap", "run-7"),
        ("held", "cancelled", None, "run-7"),
    ]
