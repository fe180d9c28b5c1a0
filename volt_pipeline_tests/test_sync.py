"""Syncs against a running sandbox: what stands in the warehouse is the world, and nothing is asked without need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sync import first_cause

from .syncing import asked, differences, gaps, new_world, open_rejects, outcome, rows, synced
from .warehouse.loading import ask, versions


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    """The running server, with a fresh world."""
    server.world = new_world()
    return server


def make_due(url: str) -> None:
    """Let an hour pass since the last answers."""
    ask(url, "UPDATE volt.messages SET loaded_at = loaded_at - interval '1 hour' WHERE NOT is_final")
    ask(url, "UPDATE volt.waves SET loaded_at = loaded_at - interval '1 hour'")
    ask(url, "UPDATE volt_ops.readings SET read_at = read_at - interval '1 hour'")
    ask(url, "UPDATE volt_ops.discoveries SET read_at = read_at - interval '1 hour'")


async def test_the_first_sync_is_the_world(sandbox: Sandbox, warehouse_url: str) -> None:
    report = await synced(sandbox, warehouse_url)
    assert differences(warehouse_url, sandbox.world) == {}
    assert (open_rejects(warehouse_url), gaps(warehouse_url), outcome(warehouse_url)) == ([], [], "succeeded")
    counts = sandbox.world.expected_counts()
    assert report.tables["messages"].inserted == counts["messages"]
    assert {stream: coverage.share for stream, coverage in report.coverage.items()} == dict.fromkeys(
        ("inbox_items", "messages", "waves", "lists"), 1.0
    )
    assert report.coverage["inbox_items"].total == counts["inbox_items"]
    assert report.coverage["inbox_items"].unidentifiable == 1  # whose contact is gone
    assert report.rejected == 0
    assert report.requests == Counter(recorded.operation for recorded in sandbox.requests)


async def test_our_own_numbers_are_learned(sandbox: Sandbox, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    expected = {(account.id, account.primary_phone) for account in sandbox.world.accounts}
    used = {contact.mapped_number for contact in sandbox.world.contacts if contact.mapped_number}
    expected |= {(account.id, number) for account in sandbox.world.accounts for number in used & set(account.pool)}
    assert set(ask(warehouse_url, "SELECT account_id, phone_number FROM volt.account_numbers")) == expected
    assert used


async def test_a_text_between_our_own_accounts_is_stored_once_and_leaves_no_gap(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    world = sandbox.world
    ours, theirs = world.accounts[:2]
    for sender, to in ((ours, theirs), (theirs, ours), (ours, theirs)):
        text = {"to": to.primary_phone, "from_": sender.primary_phone, "body": "Two pallets?"}
        world.mutate("createMessage", text)
    await synced(sandbox, warehouse_url)
    held = ask(warehouse_url, "SELECT account_id, contact_phone FROM volt.messages WHERE body = 'Two pallets?'")
    assert sorted(held) == sorted([(ours.id, theirs.primary_phone)] * 2 + [(theirs.id, ours.primary_phone)])
    assert (differences(warehouse_url, world), gaps(warehouse_url)) == ({}, [])


async def test_a_sync_of_an_unmoved_world_asks_one_page_an_account_and_writes_nothing(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    sandbox.world.move(1.0, sandbox.world.clock())  # no wave, whose equal times may fill a page, is the newest thing
    await synced(sandbox, warehouse_url)
    before = versions(warehouse_url)
    report = await synced(sandbox, warehouse_url)
    assert versions(warehouse_url) == before
    assert asked(sandbox) == {"inbox": 2, "webhooks": 1}
    assert sum(counts.written for counts in report.tables.values()) == 0
    assert (gaps(warehouse_url), outcome(warehouse_url)) == ([], "succeeded")


async def test_only_the_conversations_that_moved_are_asked_and_only_their_news(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    await synced(sandbox, warehouse_url)
    moved = sandbox.world.move(0.1, sandbox.world.clock())
    report = await synced(sandbox, warehouse_url)
    assert asked(sandbox)["conversation"] == len(moved)
    assert asked(sandbox)["inbox"] <= 4
    assert report.tables["messages"].inserted == len(moved)
    assert (differences(warehouse_url, sandbox.world), gaps(warehouse_url)) == ({}, [])


async def test_a_whole_world_in_motion_is_caught_up_with(sandbox: Sandbox, warehouse_url: str) -> None:
    world = sandbox.world
    await synced(sandbox, warehouse_url)
    for _ in range(4):
        world.move(1.0, world.clock())
        await synced(sandbox, warehouse_url)
        assert (len(rows(warehouse_url, "messages", "body")), gaps(warehouse_url)) == (len(world.messages), [])


async def test_a_status_that_changes_later_is_found_by_the_message_alone(sandbox: Sandbox, warehouse_url: str) -> None:
    world = sandbox.world
    world.move(0.5, world.clock())
    pending = dict(world.ledger.pending)
    assert pending
    await synced(sandbox, warehouse_url)
    world.settle(world.clock())
    await synced(sandbox, warehouse_url)
    assert asked(sandbox)["message"] == 0  # too early
    make_due(warehouse_url)
    await synced(sandbox, warehouse_url)
    assert (asked(sandbox)["message"], asked(sandbox)["conversation"]) == (len(pending), 0)
    assert (differences(warehouse_url, world), gaps(warehouse_url)) == ({}, [])
    histories = ask(warehouse_url, "SELECT message_id, count(*) FROM volt.message_statuses GROUP BY 1")
    assert dict(histories) == dict.fromkeys(pending, 2)
    make_due(warehouse_url)
    await synced(sandbox, warehouse_url)
    assert asked(sandbox)["message"] == 0  # final: never again


async def test_a_full_sync_reads_everything_again_and_writes_nothing(sandbox: Sandbox, warehouse_url: str) -> None:
    await synced(sandbox, warehouse_url)
    first, before = asked(sandbox), versions(warehouse_url)
    await synced(sandbox, warehouse_url, full=True)
    assert versions(warehouse_url) == before
    again = asked(sandbox)
    assert all(again[query] >= first[query] for query in ("inbox", "conversation", "list", "wave", "webhooks"))
    assert again["message"] == len(sandbox.world.ledger.pending)
    assert (gaps(warehouse_url), outcome(warehouse_url)) == ([], "succeeded")


async def test_a_contact_that_joins_and_leaves_lists_keeps_its_past(sandbox: Sandbox, warehouse_url: str) -> None:
    world = sandbox.world
    await synced(sandbox, warehouse_url)
    contact = next(contact for contact in world.contacts if contact.custom_fields and not contact.blocked)
    before = {each.id for each in world.lists_of(contact)}
    contact.custom_fields = []
    world.ledger.contact_changed(contact, world.clock())
    after = {each.id for each in world.lists_of(contact)}
    assert before - after
    world.move(1.0, world.clock())
    await synced(sandbox, warehouse_url)
    assert differences(warehouse_url, world).get("memberships") is None
    ended = ask(
        warehouse_url,
        "SELECT list_id FROM volt.contact_lists WHERE contact_id = %s AND valid_to IS NOT NULL",
        contact.id,
    )
    assert {list_id for (list_id,) in ended} == before - after


@pytest.mark.parametrize(
    ("tables", "queries"),
    [
        ({"lists", "list_sizes"}, {"inbox", "list"}),
        ({"webhooks"}, {"inbox", "webhooks"}),
        ({"contacts"}, {"inbox"}),
        ({"messages"}, {"inbox", "conversation"}),
    ],
    ids=lambda value: "+".join(sorted(value)),
)
async def test_only_what_was_selected_is_asked(
    sandbox: Sandbox, warehouse_url: str, tables: set[str], queries: set[str]
) -> None:
    await synced(sandbox, warehouse_url, tables=tables)
    assert asked(sandbox).keys() == queries
    pages = sum(-(-len(inbox.entries) // 5) for inbox in sandbox.world.ledger.inboxes.values())
    whole = bool(tables & {"contacts", "messages"})
    assert asked(sandbox)["inbox"] >= pages if whole else asked(sandbox)["inbox"] == 2


async def test_one_account_alone(sandbox: Sandbox, warehouse_url: str) -> None:
    one, other = sandbox.world.accounts[:2]
    await synced(sandbox, warehouse_url, one.primary_phone)
    assert ask(warehouse_url, "SELECT id FROM volt.accounts") == [(one.id,)]
    await synced(sandbox, warehouse_url, other.primary_phone)
    assert (differences(warehouse_url, sandbox.world), gaps(warehouse_url)) == ({}, [])


async def test_progress_is_told_up_to_the_end(sandbox: Sandbox, warehouse_url: str) -> None:
    told: dict[str, tuple[int, int]] = {}

    def observe(stage: str, done: int, known: int) -> None:
        told[stage] = (done, known)

    await synced(sandbox, warehouse_url, observe=observe)
    counts = sandbox.world.expected_counts()
    assert told["conversations"] == (counts["conversations"],) * 2
    assert told["wave look-ups"] == (counts["waves"],) * 2


def test_the_first_cause_of_a_group_is_what_went_wrong() -> None:
    inner = ValueError("the cause")
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [inner, KeyError("another")]), KeyError("last")])
    assert first_cause(group) is inner
    assert first_cause(inner) is inner
