"""Sending against a running sandbox: at most one text, only to those who may get it, only when they may."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.disturbances import Disturbance
from volt_pipeline.sandbox.faults import Asked, Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sending.permission import Limits
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
from volt_pipeline_tests.warehouse.loading import ask


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(at_noon(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def sandbox(server: Sandbox, clock: Hands, warehouse_url: str) -> Sandbox:
    """The running server with a fresh world and no faults, and a warehouse that knows its people."""
    server.world, server.faults = clock.rule(at_noon()), Faults()
    known(warehouse_url, server.world)
    server.requests.clear()
    return server


def mutating(asked: Asked) -> bool:
    return asked.is_mutation


async def test_an_intent_is_sent_once_and_says_what_it_became(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    ann = texted(sandbox.world)[0]
    one = intend(warehouse_url, ann, body="Hello", media=["https://example.com/a.png"])
    report = await sent(sandbox, warehouse_url, clock)
    assert (report.reached("accepted"), report.troubles, report.attempts) == (1, [], 1)
    assert course(warehouse_url, one) == ["queued", "attempting", "accepted"]
    (effect,) = sandbox.world.effects
    assert effect.arguments == {
        "to": ann.phone_number,
        "from_": ann.account.primary_phone,
        "body": "Hello",
        "media": ["https://example.com/a.png"],
    }
    assert ask(warehouse_url, "SELECT message_id, tries, wave_id FROM volt_ops.outbox") == [(effect.id, 1, None)]
    assert (await sent(sandbox, warehouse_url, clock)).attempts == 0
    assert len(sandbox.world.effects) == 1


async def test_sending_is_off_until_it_is_switched_on(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    report = await sent(sandbox, warehouse_url, clock, enabled=False)
    assert (report.enabled, report.attempts, report.standing) == (False, 0, {"queued": 1})
    assert stands(warehouse_url, one) == ("queued", None)
    assert sandbox.requests == []


AMBIGUOUS: dict[str, Disturbance] = {
    "reset": disturbances.reset(),
    "500": disturbances.http_error(500),
    "502": disturbances.bad_gateway(),
    "cut": disturbances.cut(),
    "half": disturbances.half_json(),
    "empty": disturbances.empty_body(),
    "page": disturbances.html(),
    "null data": disturbances.null_data(),
    "null data, an error": disturbances.graphql_error("boom", data=None),
    "null data, throttled": disturbances.graphql_error("slow down", "RATE_LIMITED", data=None),
    "null data, forbidden": disturbances.graphql_error("no", "FORBIDDEN", data=None),
    "500, errors": disturbances.graphql_error("boom", status=500),
    "unauthorized without a word": disturbances.http_error(401, b""),
    "an error page": disturbances.http_error(404, b""),
}


@pytest.mark.parametrize("happens", [True, False], ids=["sent", "not sent"])
async def test_what_may_have_been_sent_is_looked_for_and_never_sent_again(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, happens: bool
) -> None:
    people = dict(zip(AMBIGUOUS, texted(sandbox.world), strict=False))
    intents = {name: intend(warehouse_url, each) for name, each in people.items()}
    for name, disturbance in AMBIGUOUS.items():
        struck = people[name].phone_number

        def when(asked: Asked, phone: str = struck) -> bool:
            return asked.is_mutation and asked.variables["to"] == phone

        sandbox.faults.disturb(disturbance, when=when, after_effect=happens)
    while "queued" in states(warehouse_url):  # five doubts in a row end a run
        report = await sent(sandbox, warehouse_url, clock)
    for one in intents.values():
        assert course(warehouse_url, one) == ["queued", "attempting", "unknown"]
    assert f"{len(AMBIGUOUS)} may or may not have been sent, and are being looked for" in report.troubles
    for minutes in (1 / 12, 0.5, 2, 5, 15, 75):
        clock.at = NOON + timedelta(minutes=minutes)
        await sent(sandbox, warehouse_url, clock)
        found = states(warehouse_url)
        assert found == {"accepted" if happens else "needs_person" if minutes >= 15 else "unknown": len(AMBIGUOUS)}
    assert effects(sandbox).total() == len(AMBIGUOUS) * happens
    assert [each.operation for each in sandbox.requests].count("createMessage") == len(AMBIGUOUS)
    claimed = {message for (message,) in ask(warehouse_url, "SELECT message_id FROM volt_ops.outbox")}
    assert claimed - {None} == {each.id for each in sandbox.world.effects}


PROVEN: dict[str, tuple[Disturbance, str]] = {
    "429": (disturbances.too_many_requests(), "throttled"),
    "429 for a while": (disturbances.too_many_requests(30), "throttled"),
    "slow down": (disturbances.rate_limited(), "refused"),
    "an unknown error": (disturbances.graphql_error("boom"), "refused"),
    "the token": (disturbances.graphql_error("Unauthorized", "UNAUTHENTICATED", 401), "refused"),
}


@pytest.mark.parametrize(("disturbance", "proof"), PROVEN.values(), ids=PROVEN)
async def test_what_was_certainly_not_sent_is_tried_again_later(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, disturbance: Disturbance, proof: str
) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    sandbox.faults.disturb(disturbance, when=mutating, times=1)
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one) == ["queued", "attempting", "queued"]
    assert ask(warehouse_url, "SELECT proof, due_at FROM volt_ops.outbox") == [(proof, NOON + timedelta(minutes=1))]
    await sent(sandbox, warehouse_url, clock)
    assert sandbox.world.effects == []
    clock.pass_(minutes=1)
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one)[3:] == ["attempting", "accepted"]
    assert sum(effects(sandbox).values()) == 1


async def test_what_volt_refuses_for_its_own_sake_is_over(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    sandbox.faults.disturb(disturbances.graphql_error("body is too rude", "BAD_USER_INPUT"), when=mutating)
    report = await sent(sandbox, warehouse_url, clock)
    state, reason = stands(warehouse_url, one)
    assert (state, str(reason)[:17]) == ("rejected", "refused by Volt: ")
    assert report.troubles == ["1 were refused by Volt"]


async def test_a_document_that_volt_does_not_take_stops_the_run_and_ends_no_intent(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    people = texted(sandbox.world)
    for person in people[:3]:
        intend(warehouse_url, person)
    sandbox.faults.disturb(
        disturbances.graphql_error('Cannot query field "body" on type "Message"', status=400), when=mutating
    )
    report = await sent(sandbox, warehouse_url, clock)
    assert states(warehouse_url) == {"queued": 3}
    assert (report.attempts, "does not know the field Message.body" in report.stopped) == (1, True)


async def test_five_doubts_in_a_row_stop_the_run(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    for person in texted(sandbox.world)[:7]:
        intend(warehouse_url, person)
    sandbox.faults.disturb(disturbances.http_error(500), when=mutating)
    report = await sent(sandbox, warehouse_url, clock)
    assert states(warehouse_url) == {"unknown": 5, "queued": 2}
    assert report.stopped.startswith("5 texts in a row got no clear answer")


async def test_no_attempt_without_a_fresh_word_from_volt(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    ann, bob = texted(sandbox.world)[:2]
    one, two = intend(warehouse_url, ann), intend(warehouse_url, bob)
    sandbox.faults.null_fields.add(("Contact", ann.id, "blocked"))
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == ("held", "Volt does not say whether the contact is blocked")
    assert stands(warehouse_url, two)[0] == "accepted"
    assert set(effects(sandbox)) == {(bob.phone_number, "See you at noon")}


async def test_the_caps(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    ann, bob = texted(sandbox.world)[:2]
    for number in range(3):
        intend(warehouse_url, ann, body=f"Text {number}", expires_at=NOON + timedelta(days=9))
    intend(warehouse_url, bob)
    await sent(sandbox, warehouse_url, clock, limits=Limits(per_run=3, per_recipient=2))
    assert states(warehouse_url) == {"accepted": 3, "held": 1}
    assert ask(warehouse_url, "SELECT due_at, reason FROM volt_ops.outbox WHERE state = 'held'") == [
        (NOON + timedelta(days=1), "cap: the recipient has had as many texts in 24 hours as may be")
    ]
    for number in range(3):
        intend(warehouse_url, bob, body=f"Again {number}")
    report = await sent(sandbox, warehouse_url, clock, limits=Limits(per_run=1, per_recipient=20))
    assert report.attempts == 1
    held = "SELECT count(*) FROM volt_ops.outbox WHERE reason = 'cap: this run has made as many attempts as it may'"
    assert ask(warehouse_url, held) == [(2,)]
    clock.pass_(days=1)
    await sent(sandbox, warehouse_url, clock, limits=Limits(per_run=9, per_recipient=20))
    assert states(warehouse_url) == {"accepted": 7}


async def test_the_kill_switch_holds_everything(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    ask(warehouse_url, "UPDATE volt_ops.controls SET engaged = true WHERE name = 'kill_switch'")
    report = await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == ("held", "kill switch")
    assert "kill switch" in report.stopped
    ask(warehouse_url, "DELETE FROM volt_ops.controls")  # a switch that is gone counts as engaged
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == ("held", "kill switch")
    ask(warehouse_url, "INSERT INTO volt_ops.controls (name, engaged) VALUES ('kill_switch', false)")
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == "accepted"
    assert sum(effects(sandbox).values()) == 1


async def test_the_kill_switch_holds_also_while_a_run_is_at_work(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    for person in texted(sandbox.world)[:3]:
        intend(warehouse_url, person)

    def pull(asked: Asked) -> bool:  # while the first text is on its way
        if asked.is_mutation:
            ask(warehouse_url, "UPDATE volt_ops.controls SET engaged = true WHERE name = 'kill_switch'")
        return False

    sandbox.faults.disturb(disturbances.reset(), when=pull)
    await sent(sandbox, warehouse_url, clock)
    assert states(warehouse_url) == {"accepted": 1, "held": 2}
    assert sum(effects(sandbox).values()) == 1


async def test_quiet_hours_hold_until_morning(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    tulsa = next(each for each in texted(sandbox.world) if each.phone_number.startswith("+1918"))
    one = intend(warehouse_url, tulsa)
    clock.at = NOON.replace(hour=3) + timedelta(days=1)  # 21 o'clock in Chicago
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == ("held", "quiet hours")
    assert ask(warehouse_url, "SELECT due_at FROM volt_ops.outbox") == [(clock.at.replace(hour=14),)]
    clock.at = clock.at.replace(hour=14)
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one) == ["queued", "held", "queued", "attempting", "accepted"]


async def test_what_has_expired_is_never_sent(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0], expires_at=NOON)
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == ("rejected", "expired: expires_at has passed")
    assert sandbox.requests == []


async def test_our_own_numbers_and_foreign_accounts(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    ann = texted(sandbox.world)[0]
    first, second = (account.primary_phone for account in sandbox.world.accounts)
    pooled = "+19185550999"
    ask(warehouse_url, "INSERT INTO volt.account_numbers (account_id, phone_number) VALUES ('1', %s)", pooled)
    own = [intend(warehouse_url, account_phone=first, to_phone=phone) for phone in (second, pooled)]
    foreign = intend(warehouse_url, ann, account_phone="+15555559999")
    await sent(sandbox, warehouse_url, clock)
    assert {stands(warehouse_url, each) for each in own} == {("rejected", "its recipient is one of our own numbers")}
    assert stands(warehouse_url, foreign) == ("held", "its account +15555559999 is not among VOLT_ACCOUNTS")
    assert sandbox.world.effects == []


Objection = Callable[[str, Any], None]


def _ledger(url: str, ann: Any) -> None:
    ask(url, "INSERT INTO volt_ops.suppressions (phone_number, reason) VALUES (%s, 'by phone')", ann.phone_number)


def _marts(url: str, ann: Any) -> None:
    ask(url, "UPDATE volt_marts.contacts SET can_text = false WHERE contact_id = %s", ann.id)


def _consent(url: str, ann: Any) -> None:
    ask(url, "UPDATE volt_marts.contacts SET consent = 'opt_out' WHERE contact_id = %s", ann.id)


def _stopped_since(url: str, ann: Any) -> None:
    ask(
        url,
        "INSERT INTO volt.messages (id, account_id, contact_phone, from_number, status, body, sent_at) "
        "VALUES ('rf_1', %s, %s, %s, 'received', 'Stop!! 🛑', now())",
        ann.account.id,
        ann.phone_number,
        ann.phone_number,
    )


def _forgotten(url: str, ann: Any) -> None:
    ((key,),) = ask(url, "SELECT key FROM volt_ops.keys WHERE purpose = 'tombstones'")
    digest = hmac.digest(key, digits(ann), "sha256")
    ask(url, "INSERT INTO volt_ops.forgotten (digest) VALUES (%s)", digest)


def digits(contact: Any) -> bytes:
    return str(contact.phone_number).removeprefix("+").encode()


OBJECTIONS = [_ledger, _marts, _consent, _stopped_since, _forgotten]


@pytest.mark.parametrize("objection", OBJECTIONS, ids=lambda each: each.__name__)
async def test_who_must_not_be_texted_is_not(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, objection: Objection
) -> None:
    ann = texted(sandbox.world)[0]
    one = intend(warehouse_url, ann)
    objection(warehouse_url, ann)
    await sent(sandbox, warehouse_url, clock)
    state, reason = stands(warehouse_url, one)
    assert (state, str(reason)[:11]) == ("rejected", "suppressed:")
    assert sandbox.world.effects == []


async def test_who_is_suppressed_while_volt_is_being_asked_is_not_texted(
    sandbox: Sandbox, warehouse_url: str, clock: Hands
) -> None:
    ann = texted(sandbox.world)[0]
    one = intend(warehouse_url, ann)

    def meanwhile(asked: Asked) -> bool:
        if asked.operation == "conversation":
            _ledger(warehouse_url, ann)
        return False

    sandbox.faults.disturb(disturbances.reset(), when=meanwhile)
    await sent(sandbox, warehouse_url, clock)
    state, reason = stands(warehouse_url, one)
    assert (state, str(reason)[:11]) == ("rejected", "suppressed:")
    assert sandbox.world.effects == []


async def test_volts_own_fresh_word_counts(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    ann, bob = texted(sandbox.world)[:2]
    one, two = intend(warehouse_url, ann), intend(warehouse_url, bob)
    sandbox.world.change_contact(ann, blocked=True)
    sandbox.world.hear(bob, "stop.")
    sandbox.world.change_contact(bob, blocked=False)  # Volt may not block on STOP: only the conversation shows it
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one) == ("rejected", "suppressed: the contact is blocked in Volt")
    said = "suppressed: the contact has asked to stop since the marts were built"
    assert stands(warehouse_url, two) == ("rejected", said)
    assert sandbox.world.effects == []


async def test_without_the_marts_nothing_is_sent(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    ask(warehouse_url, "DROP TABLE volt_marts.contacts")
    await sent(sandbox, warehouse_url, clock)
    state, reason = stands(warehouse_url, one)
    assert (state, str(reason)[:16]) == ("held", "no consent table")
    assert sandbox.requests == []


async def test_a_stranger_is_texted_and_found(sandbox: Sandbox, warehouse_url: str, clock: Hands) -> None:
    """Somebody whom Volt does not know yet has no conversation that could be read before."""
    me = sandbox.world.accounts[0].primary_phone
    one = intend(warehouse_url, account_phone=me, to_phone="+19185550987")
    sandbox.faults.disturb(disturbances.reset(), when=mutating, after_effect=True)
    await sent(sandbox, warehouse_url, clock)
    clock.pass_(seconds=5)
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one) == ["queued", "attempting", "unknown", "accepted"]
