"""Doubts about a text: killed senders, two senders at once, and what may be taken for the text that was meant."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.pacing import Clock
from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.faults import Asked, Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sending.permission import Limits
from volt_pipeline.warehouse.errors import WarehouseError
from volt_pipeline_tests.sendings import (
    NOON,
    Hands,
    at_noon,
    course,
    effects,
    intend,
    known,
    sent,
    stands,
    states,
    texted,
)
from volt_pipeline_tests.syncing import client
from volt_pipeline_tests.warehouse.loading import ask, end_connections

ABANDON = (
    "UPDATE volt_ops.outbox SET state = %s, decided_by = 'ann', decided_why = 'looked', decided_at = now(), "
    "due_at = NULL, snapshot = NULL, snapshot_top = NULL WHERE state = 'needs_person'"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(at_noon(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def sandbox(server: Sandbox, clock: Hands, warehouse_url: str) -> Sandbox:
    server.world, server.faults = clock.rule(at_noon()), Faults()
    known(warehouse_url, server.world)
    server.requests.clear()
    return server


class Killed(BaseException):
    """What a killed process leaves behind: nothing is recorded any more."""


class Mortal(VoltClient):
    """A client whose process is killed around a mutation, before it leaves or after its answer."""

    killed = "before"

    async def mutate(self, operation: str, variables: Mapping[str, Any], **more: Any) -> Reply:
        if self.killed == "after":
            await super().mutate(operation, variables, **more)
        raise Killed


def mutating(asked: Asked) -> bool:
    return asked.is_mutation


@pytest.mark.parametrize("killed", ["before", "after"])
async def test_a_sender_that_was_killed_is_taken_over(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, killed: str
) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    async with Mortal(sandbox.url, sandbox.token) as volt:
        volt.killed = killed
        with pytest.raises(Killed):
            await sent(sandbox, warehouse_url, clock, volt=volt)
    assert stands(warehouse_url, one)[0] == "attempting"
    await sent(sandbox, warehouse_url, clock)  # its lease is not over
    assert stands(warehouse_url, one)[0] == "attempting"
    clock.pass_(minutes=5)
    report = await sent(sandbox, warehouse_url, clock)
    assert report.taken_over == 1
    expected = {"before": "unknown", "after": "accepted"}
    assert stands(warehouse_url, one)[0] == expected[killed]
    clock.pass_(minutes=10)
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one)[:3] == ["queued", "attempting", "unknown"]
    assert stands(warehouse_url, one)[0] == {"before": "needs_person", "after": "accepted"}[killed]
    assert sum(effects(sandbox).values()) == (killed == "after")


async def test_a_commit_that_fails_lets_no_byte_leave(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    intend(warehouse_url, texted(sandbox.world)[0])
    ask(
        warehouse_url,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$",
    )
    ask(
        warehouse_url,
        "CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON volt_ops.outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
        "WHEN (NEW.state = 'attempting') EXECUTE FUNCTION fail()",
    )
    with pytest.raises(Exception, match="refused to record a sending"):
        await sent(sandbox, warehouse_url, clock)
    assert [each.operation for each in sandbox.requests if each.operation == "createMessage"] == []
    assert states(warehouse_url) == {"queued": 1}


async def test_a_warehouse_that_is_gone_after_the_text_was_sent(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    cut = sandbox.faults.disturb(
        disturbances.reset(), when=lambda asked: asked.is_mutation and not end_connections(warehouse_url)
    )
    with pytest.raises(WarehouseError, match="next `volt-pipeline send` looks for it"):
        await sent(sandbox, warehouse_url, clock)
    assert (cut.hits, len(sandbox.world.effects), stands(warehouse_url, one)[0]) == (0, 1, "attempting")
    sandbox.faults = Faults()
    clock.pass_(minutes=5)
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one) == ["queued", "attempting", "unknown", "accepted"]
    assert len(sandbox.world.effects) == 1


async def test_an_answer_that_comes_after_the_sender_was_given_up_is_believed(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])

    def give_up(asked: Asked) -> bool:
        if asked.is_mutation:
            ask(warehouse_url, "UPDATE volt_ops.outbox SET state = 'unknown', claimed_by = NULL")
        return False

    sandbox.faults.disturb(disturbances.reset(), when=give_up)
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one) == ["queued", "attempting", "unknown", "accepted"]
    assert ask(warehouse_url, "SELECT message_id FROM volt_ops.outbox") == [(sandbox.world.effects[0].id,)]


async def test_an_attempt_whose_lease_is_nearly_over_is_not_made(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    """Volt asked to be left alone for so long that another sender may soon take over."""
    one = intend(warehouse_url, texted(sandbox.world)[0])

    class Waiting(VoltClient):
        async def mutate(self, operation: str, variables: Mapping[str, Any], **more: Any) -> Reply:
            clock.pass_(minutes=4.5)
            return await super().mutate(operation, variables, **more)

    async with Waiting(sandbox.url, sandbox.token) as volt:
        await sent(sandbox, warehouse_url, clock, volt=volt)
    assert course(warehouse_url, one) == ["queued", "attempting", "queued"]
    assert ask(warehouse_url, "SELECT proof FROM volt_ops.outbox") == [("unsent",)]
    assert sandbox.world.effects == []


async def test_a_refused_connection_is_no_doubt(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    nowhere = VoltClient("http://127.0.0.1:9/graphql", sandbox.token)

    class Detoured(VoltClient):
        async def mutate(self, operation: str, variables: Mapping[str, Any], **more: Any) -> Reply:
            return await nowhere.mutate(operation, variables, **more)

    async with nowhere, Detoured(sandbox.url, sandbox.token) as volt:
        report = await sent(sandbox, warehouse_url, clock, volt=volt)
    assert "no connection to VOLT_API_URL" in report.stopped
    assert course(warehouse_url, one) == ["queued", "attempting", "queued"]
    clock.pass_(minutes=1)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == "accepted"


async def test_many_senders_at_once_send_each_text_once(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    people = texted(sandbox.world)
    for number in range(40):
        intend(warehouse_url, people[number % 5], body=f"Text {number % 20}")
    async with client(sandbox) as one, client(sandbox) as other:
        await asyncio.gather(
            sent(sandbox, warehouse_url, clock, volt=one, senders=4),
            sent(sandbox, warehouse_url, clock, volt=other, senders=4),
        )
    for _ in range(3):  # those that waited for one like them
        clock.pass_(minutes=1)
        await sent(sandbox, warehouse_url, clock)
    assert states(warehouse_url) == {"accepted": 40}
    assert len(sandbox.world.effects) == 40
    attempts = "SELECT count(*) FROM volt_ops.outbox_events WHERE to_state = 'attempting' GROUP BY intent_id"
    assert set(ask(warehouse_url, attempts)) == {(1,)}


async def test_senders_at_once_keep_a_recipients_cap(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    ann = texted(sandbox.world)[0]
    for number in range(24):
        intend(warehouse_url, ann, body=f"Text {number}")
    async with client(sandbox) as one, client(sandbox) as other:
        runs = [
            sent(sandbox, warehouse_url, clock, volt=volt, senders=4, limits=Limits(per_recipient=2))
            for volt in (one, other)
        ]
        await asyncio.gather(*runs)
    assert states(warehouse_url) == {"accepted": 2, "held": 22}
    assert len(sandbox.world.effects) == 2


async def test_the_last_look_is_a_persons_turn(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    sandbox.faults.disturb(disturbances.reset(), when=mutating, times=1)
    dues = []
    for minutes in (0, 1 / 12, 0.5, 2, 5, 15):
        clock.at = NOON + timedelta(minutes=minutes)
        await sent(sandbox, warehouse_url, clock)
        dues.append(ask(warehouse_url, "SELECT state, due_at FROM volt_ops.outbox")[0])
    offsets = [(state, due and (due - NOON).total_seconds()) for state, due in dues]
    assert offsets == [
        ("unknown", 5),
        ("unknown", 30),
        ("unknown", 120),
        ("unknown", 300),
        ("unknown", 900),
        ("needs_person", None),
    ]
    assert stands(warehouse_url, one)[1] == "no text in the conversation can be it, at the last look"
    ask(warehouse_url, ABANDON, "queued")
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one)[-4:] == ["needs_person", "queued", "attempting", "accepted"]


async def test_a_look_that_volt_does_not_answer_does_not_count(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    one, two = (intend(warehouse_url, each) for each in texted(sandbox.world)[:2])
    sandbox.faults.disturb(disturbances.reset(), when=mutating, times=1, after_effect=True)
    await sent(sandbox, warehouse_url, clock, limits=Limits(per_run=1))
    clock.pass_(minutes=20)
    sandbox.faults.disturb(disturbances.http_error(503))
    async with VoltClient(sandbox.url, sandbox.token, deadline=0.5, clock=Clock(random=lambda: 0.0)) as volt:
        report = await sent(sandbox, warehouse_url, clock, volt=volt)
    assert "HTTP 503" in report.stopped or "no answer" in report.stopped  # on a busy machine the last try finds no time
    assert (stands(warehouse_url, one)[0], stands(warehouse_url, two)[0]) == ("unknown", "held")
    sandbox.faults = Faults()
    clock.pass_(minutes=1)
    await sent(sandbox, warehouse_url, clock)
    assert states(warehouse_url) == {"accepted": 2}


async def test_one_conversation_that_cannot_be_read_is_for_a_person_and_stops_nobody(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    ann, bob = texted(sandbox.world)[:2]
    one, two = intend(warehouse_url, ann), intend(warehouse_url, bob)
    sandbox.faults.disturb(disturbances.reset(), when=mutating, times=1, after_effect=True)
    await sent(sandbox, warehouse_url, clock, limits=Limits(per_run=1))
    sandbox.faults.failing_conversations.add((ann.account.primary_phone, ann.phone_number))
    for minutes in (1, 20):
        clock.at = NOON + timedelta(minutes=minutes)
        await sent(sandbox, warehouse_url, clock)
    state, reason = stands(warehouse_url, one)
    assert (state, str(reason)[:25]) == ("needs_person", "it cannot be read back: V")
    assert stands(warehouse_url, two)[0] == "accepted"


async def test_what_stood_there_before_is_not_taken_for_it(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    ann = texted(sandbox.world)[0]
    first = intend(warehouse_url, ann, body="Same words")
    await sent(sandbox, warehouse_url, clock)
    sandbox.world.mutate(  # and somebody else wrote the same by hand
        "createMessage", {"to": ann.phone_number, "from_": ann.account.primary_phone, "body": "Same words"}
    )
    second = intend(warehouse_url, ann, body="Same words")
    sandbox.faults.disturb(disturbances.reset(), when=mutating)
    await sent(sandbox, warehouse_url, clock)
    clock.pass_(minutes=15)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, first)[0] == "accepted"
    assert stands(warehouse_url, second)[0] == "needs_person"


@pytest.mark.parametrize("happens", [True, False], ids=["sent", "not sent"])
async def test_what_another_intent_has_claimed_is_not_taken_for_it(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, happens: bool
) -> None:
    """The other went out between this one's look at the conversation and its attempt."""
    ann = texted(sandbox.world)[0]
    one = intend(warehouse_url, ann)
    sandbox.faults.disturb(disturbances.reset(), when=mutating, times=1, after_effect=happens)
    await sent(sandbox, warehouse_url, clock)
    words = {"to": ann.phone_number, "from_": ann.account.primary_phone, "body": "See you at noon"}
    theirs = sandbox.world.mutate("createMessage", words)
    other = intend(warehouse_url, ann)
    for step in (
        "state = 'attempting', claimed_by = 'x', attempted_at = now(), tries = 1",
        f"state = 'accepted', message_id = '{theirs.id}'",
    ):
        ask(warehouse_url, f"UPDATE volt_ops.outbox SET {step} WHERE intent_id = {other}")
    clock.pass_(minutes=15)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == ("accepted" if happens else "needs_person")


async def test_two_that_may_be_it_are_for_a_person(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    ann = texted(sandbox.world)[0]
    one = intend(warehouse_url, ann)
    sandbox.faults.disturb(disturbances.reset(), when=mutating, after_effect=True, times=1)
    await sent(sandbox, warehouse_url, clock)
    by_hand = {"to": ann.phone_number, "from_": ann.account.primary_phone, "body": " See you  at noon\n"}
    sandbox.world.mutate("createMessage", by_hand)
    clock.pass_(minutes=15)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == (
        "needs_person",
        "2 texts in the conversation can be it, at the last look",
    )


async def test_a_text_like_one_in_doubt_waits_until_that_is_settled(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    ann = texted(sandbox.world)[0]
    one, two = intend(warehouse_url, ann), intend(warehouse_url, ann)
    sandbox.faults.disturb(disturbances.reset(), when=mutating, times=1)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == "unknown"
    words = "another text in the same words to the same person is in doubt"
    assert stands(warehouse_url, two) == ("held", words)
    clock.pass_(minutes=15)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == "needs_person"
    assert stands(warehouse_url, two)[0] == "accepted"


async def test_a_text_that_came_although_its_refusal_was_proven_is_for_a_person(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    """Against a server that says by the letter that it did nothing, and did it."""
    one = intend(warehouse_url, texted(sandbox.world)[0])
    sandbox.faults.disturb(disturbances.graphql_error("boom"), when=mutating, after_effect=True, times=1)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == "queued"
    clock.pass_(minutes=1)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == "needs_person"
    assert len(sandbox.world.effects) == 1


async def test_a_busy_conversation_is_read_back_as_far_as_it_was_known(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    ann = texted(sandbox.world)[0]
    one = intend(warehouse_url, ann)
    sandbox.faults.disturb(disturbances.reset(), when=mutating, after_effect=True, times=1)
    await sent(sandbox, warehouse_url, clock)
    for number in range(40):  # more than two pages
        sandbox.world.hear(ann, f"And another thing, number {number}")
    clock.pass_(seconds=5)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == ("accepted", "found in the conversation")


async def test_pages_that_begin_with_the_oldest_are_read_to_their_end(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    ann = texted(sandbox.world)[0]
    for number in range(40):
        sandbox.world.hear(ann, f"Thing number {number}")
    sandbox.faults.oldest_first = True
    one = intend(warehouse_url, ann)
    sandbox.faults.disturb(disturbances.reset(), when=mutating, after_effect=True, times=1)
    await sent(sandbox, warehouse_url, clock)
    ((known_before,),) = ask(warehouse_url, "SELECT jsonb_array_length(snapshot) FROM volt_ops.outbox")
    assert known_before == len(sandbox.world.ledger.conversations[ann.id]) - 1
    clock.pass_(seconds=5)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == "accepted"


async def test_one_look_after_a_long_silence_is_the_last(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    sandbox.faults.disturb(disturbances.reset(), when=mutating, times=1)
    await sent(sandbox, warehouse_url, clock)
    clock.pass_(days=1)
    report = await sent(sandbox, warehouse_url, clock, enabled=False)  # looking only reads
    assert (report.looked, stands(warehouse_url, one)[0]) == (1, "needs_person")
    assert report.troubles == ["1 need a person (volt-pipeline send list)"]
