"""Re-readings of what events hint at: few questions, fresh rows, and nothing believed but what the API answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from volt_pipeline.api.errors import VoltError
from volt_pipeline.refresh import MOST_TRIES
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sync import first_cause
from volt_pipeline.warehouse.erasure import forget
from volt_pipeline.warehouse.webhook_events import EventShelf, event_figures, has_news
from volt_pipeline_tests.syncing import asked, differences, gaps, new_world, synced
from volt_pipeline_tests.warehouse.loading import ask, loading, versions
from volt_pipeline_tests.webhooks.hinting import arrive, make_due, outcomes, refreshed, signed, told, until

ELSEWHERE = "+12025550143"
OLD = "received_at = now() - interval '31 days'"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
async def volt(server: Sandbox, warehouse_url: str) -> Sandbox:
    """A world that was synced a moment ago."""
    server.faults = Faults()
    server.world = new_world(contacts=6)
    server.world.settle(server.world.clock())
    await synced(server, warehouse_url)
    return server


def someone(volt: Sandbox) -> Any:
    """A contact that texts with one account, and is none of the other accounts."""
    world = volt.world
    return next(
        contact
        for contact in world.contacts
        if world.ledger.conversations[contact.id] and world.ledger.colleague(contact) is None and not contact.blocked
    )


async def test_a_stop_is_in_the_warehouse_within_one_reading(volt: Sandbox, warehouse_url: str) -> None:
    ann = someone(volt)
    message = volt.world.hear(ann, "STOP")
    await arrive(warehouse_url, told("message.received", message))
    report = await refreshed(volt, warehouse_url)
    assert (report.events, report.refreshed, report.targets) == (1, 1, 2)
    assert asked(volt) == {"contact": 1, "conversation": 1}
    assert ask(warehouse_url, "SELECT blocked FROM volt.contacts WHERE id = %s", ann.id) == [(True,)]
    assert ask(warehouse_url, "SELECT body, status FROM volt.messages WHERE id = %s", message.id) == [
        ("STOP", "received")
    ]
    assert outcomes(warehouse_url) == [("refreshed", None)]
    columns = "event_type, direction, message_id, account_id, contact_phone"
    assert ask(warehouse_url, f"SELECT {columns} FROM volt_ops.webhook_events") == [
        ("message.received", "inbound", message.id, ann.account.id, ann.phone_number)
    ]


async def test_many_events_are_few_questions(volt: Sandbox, warehouse_url: str) -> None:
    ann = someone(volt)
    messages = [volt.world.hear(ann, f"Number {number}") for number in range(10)]
    await arrive(warehouse_url, *(told("message.received", message) for message in messages for _ in range(5)))
    report = await refreshed(volt, warehouse_url)
    assert (report.events, report.refreshed, report.targets) == (50, 50, 2)
    assert asked(volt) == {"contact": 1, "conversation": 1}
    held = {key for (key,) in ask(warehouse_url, "SELECT id FROM volt.messages")}
    assert {message.id for message in messages} <= held


async def test_a_final_status_is_asked_by_the_messages_id(volt: Sandbox, warehouse_url: str) -> None:
    (message,) = volt.world.move(0.01, volt.world.clock())
    await arrive(warehouse_url, told("message.sent", message))
    await refreshed(volt, warehouse_url)
    volt.world.settle(volt.world.clock())
    await arrive(warehouse_url, told("message.finalized", message, from_number=None, to_number=None))
    await refreshed(volt, warehouse_url)
    assert asked(volt) == {"message": 1}
    held = "SELECT status, is_final FROM volt.messages WHERE id = %s"
    assert ask(warehouse_url, held, message.id) == [(message.status, True)]


async def test_the_next_sync_reads_as_if_there_had_been_no_events(volt: Sandbox, warehouse_url: str) -> None:
    for message in volt.world.move(0.5, volt.world.clock()):
        await arrive(warehouse_url, told("message.received", message))
    walks = versions(warehouse_url, "volt_ops")["walks"]
    assert (await refreshed(volt, warehouse_url)).written > 0
    assert versions(warehouse_url, "volt_ops")["walks"] == walks  # what is known of completeness was not touched
    assert gaps(warehouse_url) == []
    await synced(volt, warehouse_url)
    assert differences(warehouse_url, volt.world) == {}
    assert gaps(warehouse_url) == []
    before = versions(warehouse_url)
    await synced(volt, warehouse_url)
    assert asked(volt) == {"inbox": 2, "webhooks": 1}  # and left nothing due
    assert versions(warehouse_url) == before


async def test_nothing_that_an_event_says_is_believed(volt: Sandbox, warehouse_url: str) -> None:
    ann = someone(volt)
    message = volt.world.ledger.conversations[ann.id][-1][2]
    lies = [
        told("message.finalized", message, text="A lie", status="failed"),
        told("message.received", message, id="rf_never", text="A lie", direction="inbound", status="received"),
        told("message.received", message, id="rf_never", from_number=ann.phone_number, to_number="+12025550199"),
        told("message.deleted", message, text=None),
    ]
    before = versions(warehouse_url)
    await arrive(warehouse_url, *lies)
    report = await refreshed(volt, warehouse_url)
    assert report.refreshed == 4
    assert report.written == 0
    assert versions(warehouse_url) == before
    assert differences(warehouse_url, volt.world) == {}


async def test_what_is_not_ours_or_not_readable_is_kept_with_a_reason(volt: Sandbox, warehouse_url: str) -> None:
    message = volt.world.ledger.conversations[someone(volt).id][-1][2]
    strange = told("message.received", message, id="rf_never", from_number=ELSEWHERE, to_number="+12025550144")
    await arrive(warehouse_url, b"\x00\xff", b"[]", strange, b'{"payload": {"event_type": "webhook.test"}}')
    report = await refreshed(volt, warehouse_url)
    assert report.set_aside == 4
    assert asked(volt) == {}
    assert outcomes(warehouse_url) == [
        ("set_aside", "its body is no JSON"),
        ("set_aside", "its body is no JSON object"),
        ("set_aside", "neither of its numbers is known to be ours"),
        ("set_aside", "it names neither a message nor the two numbers of one"),
    ]
    assert sum(report.reasons.values()) == 4
    ((run,),) = ask(warehouse_url, "SELECT report::text FROM volt_ops.runs WHERE kind = 'webhook'")
    assert ELSEWHERE not in run


async def test_an_account_that_is_not_synced_here_is_left_alone(volt: Sandbox, warehouse_url: str) -> None:
    ann = someone(volt)
    other = next(account for account in volt.world.accounts if account is not ann.account)
    await arrive(warehouse_url, told("message.received", volt.world.hear(ann, "hello")))
    report = await refreshed(volt, warehouse_url, other.primary_phone)
    assert (report.set_aside, asked(volt)) == (1, {})
    assert outcomes(warehouse_url) == [("set_aside", "its account is not among those that are synced here")]


async def test_a_new_contact_on_a_number_never_seen(volt: Sandbox, warehouse_url: str) -> None:
    """A text between a contact and a pool number that no one has learned: the contact tells whose it is."""
    ann = someone(volt)
    volt.world.change_contact(ann, mapped_number="+19185550177")
    message = volt.world.hear(ann, "through the pool")
    await arrive(warehouse_url, told("message.received", message))
    await refreshed(volt, warehouse_url)
    assert ask(warehouse_url, "SELECT to_number FROM volt.messages WHERE id = %s", message.id) == [("+19185550177",)]
    numbers = "SELECT account_id FROM volt.account_numbers WHERE phone_number = '+19185550177'"
    assert ask(warehouse_url, numbers) == [(ann.account.id,)]


async def test_a_reading_does_not_wait_for_a_sync(volt: Sandbox, warehouse_url: str) -> None:
    ann = someone(volt)
    message = volt.world.hear(ann, "now")
    await arrive(warehouse_url, told("message.received", message))
    async with loading(warehouse_url, "a-sync", *(account.primary_phone for account in volt.world.accounts)):
        assert (await refreshed(volt, warehouse_url)).refreshed == 1
    assert ask(warehouse_url, "SELECT 1 FROM volt.messages WHERE id = %s", message.id) == [(1,)]


async def test_readings_beside_a_sync(volt: Sandbox, warehouse_url: str) -> None:
    messages = volt.world.move(0.9, volt.world.clock())
    await arrive(warehouse_url, *(told("message.received", message) for message in messages))
    await asyncio.gather(synced(volt, warehouse_url), refreshed(volt, warehouse_url), refreshed(volt, warehouse_url))
    assert {outcome for outcome, _ in outcomes(warehouse_url)} == {"refreshed"}
    await synced(volt, warehouse_url)
    assert differences(warehouse_url, volt.world) == {}


async def test_two_runs_share_the_events(volt: Sandbox, warehouse_url: str) -> None:
    messages = volt.world.move(0.9, volt.world.clock())
    await arrive(warehouse_url, *(told("message.received", message) for message in messages))
    one, two = await asyncio.gather(refreshed(volt, warehouse_url), refreshed(volt, warehouse_url))
    assert one.events + two.events == len(messages)


async def test_while_volt_is_away_events_wait(volt: Sandbox, warehouse_url: str) -> None:
    message = volt.world.hear(someone(volt), "wait for me")
    await arrive(warehouse_url, told("message.received", message))
    volt.faults.revoked = "401"
    with pytest.raises((VoltError, BaseExceptionGroup)) as caught:
        await refreshed(volt, warehouse_url)
    assert isinstance(first_cause(caught.value), VoltError)
    volt.faults = Faults()
    assert outcomes(warehouse_url) == [(None, None)]
    assert ask(warehouse_url, "SELECT outcome FROM volt_ops.runs WHERE kind = 'webhook'") == [("failed",)]
    assert (await refreshed(volt, warehouse_url)).events == 0  # not at once
    assert not has_news(warehouse_url, 30)
    make_due(warehouse_url)
    assert has_news(warehouse_url, 30)
    assert (await refreshed(volt, warehouse_url)).refreshed == 1
    assert ask(warehouse_url, "SELECT tries FROM volt_ops.webhook_events") == [(2,)]


async def test_what_can_never_be_read_is_set_aside_in_the_end(
    volt: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = someone(volt)
    good = next(each for each in volt.world.contacts if each is not ann and each.account is ann.account)
    bodies = [told("message.sent", volt.world.hear(each, "hello")) for each in (ann, good)]
    await arrive(warehouse_url, *bodies)
    for _, _, message in volt.world.ledger.conversations[ann.id]:
        message.id = {"no": "id"}  # type: ignore[assignment]  # nothing of the page can be given
    for attempt in range(MOST_TRIES):
        report = await refreshed(volt, warehouse_url)
        assert report.events == (2 if attempt == 0 else 1)
        make_due(warehouse_url)
    (bad, reason), well = outcomes(warehouse_url)
    assert (bad, well) == ("set_aside", ("refreshed", None))
    assert reason.startswith("cannot be read: ")
    assert "hello" not in reason
    assert ann.phone_number not in reason


async def test_a_run_without_events_leaves_no_trace(volt: Sandbox, warehouse_url: str) -> None:
    before = versions(warehouse_url, "volt_ops")
    assert (await refreshed(volt, warehouse_url)).events == 0
    assert {table for table, rows in versions(warehouse_url, "volt_ops").items() if rows != before[table]} == set()


async def test_a_run_stays_while_news_come(volt: Sandbox, warehouse_url: str) -> None:
    first, second = (told("message.received", volt.world.hear(someone(volt), text)) for text in ("one", "two"))
    await arrive(warehouse_url, first)
    staying = asyncio.create_task(refreshed(volt, warehouse_url, linger=30, longest=60))
    await until(lambda: outcomes(warehouse_url) == [("refreshed", None)])
    await arrive(warehouse_url, second)
    await until(lambda: outcomes(warehouse_url) == [("refreshed", None)] * 2)
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)


async def test_a_run_ends_after_its_longest_stay(volt: Sandbox, warehouse_url: str) -> None:
    await arrive(warehouse_url, told("message.received", volt.world.hear(someone(volt), "one")))
    report = await refreshed(volt, warehouse_url, linger=30, longest=0.01)
    assert report.events == 1


async def test_the_same_bytes_may_be_news_again(volt: Sandbox, warehouse_url: str) -> None:
    """Without an id, a second "ok" from the same person looks like a replay of the first."""
    ann = someone(volt)
    known_by_body = told("message.received", volt.world.hear(ann, "ok"), id=None, sent_at=None)
    known_by_id = told("message.received", volt.world.hear(ann, "ok"))
    await arrive(warehouse_url, known_by_body, with_id=False)
    await refreshed(volt, warehouse_url)
    second = volt.world.hear(ann, "ok")
    await arrive(warehouse_url, known_by_body, with_id=False)
    assert ask(warehouse_url, "SELECT deliveries, processed_at FROM volt_ops.webhook_events") == [(2, None)]
    assert not has_news(warehouse_url, 30)  # a replay is not worth a reading each time: it waits for a while
    make_due(warehouse_url)
    assert (await refreshed(volt, warehouse_url)).refreshed == 1
    assert ask(warehouse_url, "SELECT 1 FROM volt.messages WHERE id = %s", second.id) == [(1,)]
    shelf = EventShelf(warehouse_url)
    once = signed(known_by_id)
    await shelf.keep([once])
    await refreshed(volt, warehouse_url)
    await shelf.keep([once, once])
    await shelf.close()
    last = "SELECT deliveries, outcome FROM volt_ops.webhook_events ORDER BY id DESC LIMIT 1"
    assert ask(warehouse_url, last) == [(3, "refreshed")]


async def test_what_comes_again_while_it_is_read_stays_due(volt: Sandbox, warehouse_url: str) -> None:
    body = told("message.received", volt.world.hear(someone(volt), "ok"))
    await arrive(warehouse_url, body, with_id=False)
    with volt.world.lock:  # Volt's answer is held up
        reading = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(refreshed(volt, warehouse_url))))
        await until(lambda: ask(warehouse_url, "SELECT tries FROM volt_ops.webhook_events") == [(1,)])
        await arrive(warehouse_url, body, with_id=False)
    report = await reading
    assert (report.events, asked(volt)["contact"]) == (2, 2)  # read once more
    assert outcomes(warehouse_url) == [("refreshed", None)]


async def test_events_are_deleted_in_time(volt: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volt_pipeline.warehouse.webhook_events._AT_ONCE", 2)
    message = volt.world.hear(someone(volt), "old")
    await arrive(warehouse_url, told("message.received", message), told("message.received", message, text="young"))
    await refreshed(volt, warehouse_url)
    ask(
        warehouse_url,
        f"UPDATE volt_ops.webhook_events SET {OLD} WHERE id = (SELECT min(id) FROM volt_ops.webhook_events)",
    )
    assert has_news(warehouse_url, 30)
    assert not has_news(warehouse_url, 32)
    await refreshed(volt, warehouse_url)
    assert len(outcomes(warehouse_url)) == 1
    ask(warehouse_url, f"UPDATE volt_ops.webhook_events SET {OLD}, processed_at = NULL, outcome = NULL")
    await arrive(warehouse_url, *[b"old as well"] * 5)
    ask(warehouse_url, f"UPDATE volt_ops.webhook_events SET {OLD}")
    shelf = EventShelf(warehouse_url, retention_days=30)  # and by the receiver, when nothing is ever taken up
    await shelf.prune()
    await shelf.close()
    assert outcomes(warehouse_url) == []


async def test_events_of_someone_who_was_forgotten_are_deleted(volt: Sandbox, warehouse_url: str) -> None:
    ann = someone(volt)
    await forget(warehouse_url, ann.phone_number)
    other = next(each for each in volt.world.contacts if each.phone_number != ann.phone_number)
    bodies = [told("message.received", volt.world.hear(each, "hello")) for each in (ann, other)]
    await arrive(warehouse_url, *bodies)
    report = await refreshed(volt, warehouse_url)
    assert (report.withheld, report.refreshed) == (1, 1)
    assert ask(warehouse_url, "SELECT body FROM volt_ops.webhook_events") == [(bodies[1],)]
    assert ask(warehouse_url, "SELECT 1 FROM volt.messages WHERE contact_phone = %s", ann.phone_number) == []


async def test_who_found_the_news_first_is_published(volt: Sandbox, warehouse_url: str) -> None:
    ann = someone(volt)
    quick = volt.world.hear(ann, "quick")
    await arrive(warehouse_url, told("message.received", quick))
    await refreshed(volt, warehouse_url)
    assert event_figures(warehouse_url)["share that polling found first"] == 0.0
    lost = volt.world.hear(ann, "its event was lost")
    await synced(volt, warehouse_url)
    figures = event_figures(warehouse_url)
    assert {key for (key,) in ask(warehouse_url, "SELECT id FROM volt.messages")} >= {quick.id, lost.id}
    assert (figures["changes in 7 days"], figures["share that polling found first"]) == (2, 0.5)
    assert (figures["events in 7 days"], figures["deliveries"], figures["waiting"]) == (1, 1, 0)
    assert figures["median seconds to the refreshed row"] > 0
    sent = volt.world.mutate(
        "createMessage", {"from_": ann.account.primary_phone, "to": ann.phone_number, "body": "out"}
    )
    await arrive(warehouse_url, told("message.sent", sent))
    await refreshed(volt, warehouse_url)
    volt.world.settle(volt.world.clock())
    await arrive(warehouse_url, told("message.finalized", sent))
    await refreshed(volt, warehouse_url)
    assert (
        event_figures(warehouse_url)["share that polling found first"] == 0.25
    )  # of four: both of its states were told
