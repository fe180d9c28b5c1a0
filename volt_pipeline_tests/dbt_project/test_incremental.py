"""The marts are kept, not built anew: whatever changes, they hold what a full build would give, row for row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from volt_pipeline.warehouse.postgres import renew_access

from . import fixture_world as world
from .conftest import Warehouse, fresh_warehouse

Rows = dict[str, tuple[Any, ...]]  # by message_key
Written = dict[str, str]  # a row as text: the transaction that wrote it
_ROWS = "select message_key, to_jsonb(messages), xmin::text from volt_marts.messages"
_TABLES = "select tablename from pg_tables where schemaname = 'volt_marts' order by tablename"
_MASKED = "select c.oid::bigint, c.relname from pg_class as c where relnamespace = 'volt_masked'::regnamespace"

# A text of which nothing tells the direction, until later.
UNKNOWN = (
    "insert into volt.messages (id, legacy_id, account_id, contact_phone, from_number, to_number, status, body, media,"
    " sent_at, is_final, first_seen_at, loaded_at) values ('rf_hinted', 'hinted', '3', '+15550000009', '+15550000008',"
    " '+15550000007', 'sent', 'Hinted', '[]', now(), false, now(), now())"
)

# What happens to a warehouse between two runs. `loaded_at` is left alone where nothing promises that it moves, and is
# old where an answer came late: a high-water mark would miss those.
CHANGES = (
    # A status comes late; a text gets its legacy id; another turns out to be the second id of a known text.
    "update volt.messages set status = 'delivered', is_final = true where body = 'two'",
    "update volt.messages set legacy_id = 'late' where body = 'one'",
    "insert into volt.messages (id, legacy_id, account_id, contact_phone, from_number, to_number, status, body, media,"
    " sent_at, is_final, first_seen_at, loaded_at)"
    " select 'rf_twin', legacy_id, account_id, contact_phone, from_number, to_number, 'delivered', body, media,"
    " sent_at, true, first_seen_at, loaded_at - interval '1 day' from volt.messages where body = 'Great'",
    # Of the text under two ids, the one that stands is gone from Volt; another text is, too; a third is erased.
    "update volt.messages set deleted_at = now() where id = 'rf_second'",
    "update volt.messages set deleted_at = now() where body = 'Anyone awake?'",
    "delete from volt.messages where body = 'Are you open tomorrow?'",
    # Old texts are found, one of them a STOP.
    "insert into volt.messages (id, legacy_id, account_id, contact_phone, from_number, to_number, status, body, media,"
    " sent_at, is_final, first_seen_at, loaded_at)"
    " select 'rf_old', 'old', account_id, contact_phone, from_number, to_number, status, 'Stop', media,"
    " sent_at - interval '90 days', true, first_seen_at, loaded_at - interval '1 year'"
    " from volt.messages where body = 'How much is it?'",
    # Phoenix gets a message of its own for the text from Tulsa; Ghost's sender turns out to be a number of Denver's.
    "insert into volt.messages (id, legacy_id, account_id, contact_phone, from_number, to_number, status, body, media,"
    " sent_at, is_final, first_seen_at, loaded_at)"
    f" select 'rf_received', legacy_id, '2', '{world.TULSA}', from_number, to_number, 'received', body, media, sent_at,"
    " true, first_seen_at, loaded_at from volt.messages where id = 'rf_between'",
    "insert into volt.account_numbers (account_id, phone_number, evidence, first_seen_at, loaded_at)"
    " values ('3', '+15550000001', 'message', now(), now())",
    # A webhook says of a text of unknown direction that it came in.
    "insert into volt_ops.webhook_events (event_key, scheme, signed_by, body, direction, message_id)"
    " values ('id:1', 'rsa', 'a key', '', 'inbound', 'rf_hinted')",
    # Maria's contact is retired for another; Phoenix has moved to another zone; a new word opts out.
    "update volt.contacts set deleted_at = now() where id = '101'",
    "insert into volt.contacts (id, account_id, phone_number, name, first_seen_at, loaded_at)"
    f" values ('201', '1', '{world.MARIA}', 'Maria again', now(), now())",
    f"update volt_staging.account_zones set time_zone = 'Asia/Tokyo' where account_phone = '{world.PHOENIX}'",
    # A new wave reaches Wyatt, who asks something, is answered, and is asked again after two days.
    "insert into volt.waves (id, account_id, name, type, total_messages, first_seen_at, loaded_at)"
    " values ('14', '1', 'New wave', 'account', 1, now(), now())",
    "insert into volt.messages (id, legacy_id, account_id, contact_phone, from_number, to_number, status, body, media,"
    " sent_at, wave_id, is_final, first_seen_at, loaded_at)"
    f" select 'rf_wyatt' || n, 'wyatt' || n, '1', '{world.WYATT}', sender, recipient, status, said, '[]',"
    f" timestamptz '{world.at(2)}' + n * interval '13 hours', wave_id, true, now(), now() - interval '1 year'"
    f" from (values (1, '{world.TULSA}', '{world.WYATT}', 'delivered', 'New wave', '14'),"
    f" (2, '{world.WYATT}', '{world.TULSA}', 'received', 'Which one?', null),"
    f" (3, '{world.TULSA}', '{world.WYATT}', 'delivered', 'The blue one', null),"
    f" (6, '{world.WYATT}', '{world.TULSA}', 'received', 'revoke', null))"
    " as said (n, sender, recipient, status, said, wave_id)",
    # James is erased; of Rosa's texts those that she wrote are; Linh has another name, and Aisha another phone.
    f"delete from volt.messages where contact_phone = '{world.JAMES}'",
    f"delete from volt.messages where from_number = '{world.ROSA}'",
    "update volt.contacts set name = 'Linh herself' where id = '105'",
    "update volt.contacts set phone_number = '+19185557099' where id = '103'",
)

# Then settings change, and what a run could not know of: a table that another text of its model has built.
SETTINGS = (
    f"update volt_staging.account_hours set opens_at = '00:00', closes_at = '24:00'"
    f" where account_phone = '{world.TULSA}'",
    "insert into volt_staging.account_holidays values ('*', '2026-07-02', 'All are closed')",
    "comment on table volt_marts.waves is 'Built by dbt (0123456789abcdef0123456789abcdef).'",
    "alter table volt_marts.waves rename column sent_by to sender_of_old",
    "comment on table volt_marts.sessions is null",
    "update volt_marts.sessions set started_by = 'nobody'",
)


@dataclass(frozen=True)
class Story:
    """What the marts hold after each build: the rows of messages as JSON, and of every mart as text."""

    first: Rows
    incremental: Rows
    full: Rows
    reworded: Rows
    marts: dict[str, dict[str, Written]]  # by build and mart; `resettled` is what the settings made of `full`
    masked: tuple[set[Any], set[Any]]  # the masked views before and after the incremental run


def _rows(warehouse: Warehouse) -> Rows:
    return {key: (row, written) for key, row, written in warehouse.rows(_ROWS)}


def _contents(rows: Rows) -> dict[str, Any]:
    return {key: row for key, (row, _) in rows.items()}


def _marts(warehouse: Warehouse) -> dict[str, Written]:
    marts = [name for (name,) in warehouse.rows(_TABLES)]
    return {
        mart: dict(warehouse.rows(f"select to_jsonb(mart)::text, mart.xmin::text from volt_marts.{mart} as mart"))
        for mart in marts
    }


def _run(warehouse: Warehouse, *arguments: str) -> tuple[Rows, dict[str, Written]]:
    outcome = warehouse.dbt.run("run", "--select", "path:models/marts", "int_conversation_totals", *arguments)
    assert outcome.exit_code == 0, outcome.text
    return _rows(warehouse), _marts(warehouse)


@pytest.fixture(scope="module")
def story(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with fresh_warehouse(server_url, "dbt_incremental", tmp_path_factory.mktemp("dbt")) as warehouse:
        world.load(warehouse.engine)
        warehouse.execute(UNKNOWN)
        kinds = ("--resource-type", "seed", "--resource-type", "model")
        built = warehouse.dbt.run("build", "--select", "+path:models/marts", *kinds)
        assert built.exit_code == 0, built.text
        renew_access(warehouse.dbt.url.render_as_string(hide_password=False))
        first, marts_first, masked = _rows(warehouse), _marts(warehouse), set(warehouse.rows(_MASKED))
        warehouse.execute(*CHANGES)
        incremental, marts_incremental = _run(warehouse)
        masked_after = set(warehouse.rows(_MASKED))
        full, marts_full = _run(warehouse, "--full-refresh")
        warehouse.execute(*SETTINGS)
        marts = {"first": marts_first, "incremental": marts_incremental, "full": marts_full}
        marts |= {"resettled": _run(warehouse)[1], "resettled_full": _run(warehouse, "--full-refresh")[1]}
        warehouse.execute("insert into volt_staging.consent_keywords values ('GREAT', 'none', 'volt')")
        reworded, _ = _run(warehouse)
        yield Story(first, incremental, full, reworded, marts, (masked, masked_after))


def _bodies(rows: Rows, body: str) -> list[dict[str, Any]]:
    return sorted((row for row, _ in rows.values() if row["body"] == body), key=lambda row: str(row["account_id"]))


@pytest.mark.parametrize(("kept", "full"), [("incremental", "full"), ("resettled", "resettled_full")])
def test_a_full_refresh_gives_what_the_incremental_run_gave(story: Story, kept: str, full: str) -> None:
    for mart, rows in story.marts[full].items():
        assert story.marts[kept][mart].keys() == rows.keys(), mart


def test_the_changes_reach_every_mart(story: Story) -> None:
    reached = {
        mart for mart, rows in story.marts["incremental"].items() if rows.keys() != story.marts["first"][mart].keys()
    }
    assert reached == story.marts["first"].keys()
    resettled = {
        mart for mart, rows in story.marts["resettled"].items() if rows.keys() != story.marts["full"][mart].keys()
    }
    assert resettled == {"responses"}


def test_only_what_changed_is_written(story: Story) -> None:
    """A row has changed if its content has, the hash of what it was made of included."""
    first, after = story.marts["first"], story.marts["incremental"]
    stayed = {mart: rows.keys() & first[mart].keys() for mart, rows in after.items()}
    # The zone of an account changed, and in each conversation with a reply to a wave something did.
    assert {mart for mart, rows in stayed.items() if not rows} == {"responses", "wave_replies"}
    for mart, rows in stayed.items():
        assert {row: after[mart][row] for row in rows} == {row: first[mart][row] for row in rows}, mart


def test_a_masked_view_stands_while_its_mart_is_built(story: Story) -> None:
    before, after = story.masked
    assert before == after
    assert {name for _, name in before} == {*story.marts["first"], "pushes"}


def test_late_news_arrive(story: Story) -> None:
    assert [row["status"] for row in _bodies(story.incremental, "two")] == ["delivered"]
    assert [row["legacy_id"] for row in _bodies(story.incremental, "one")] == ["late"]
    [stop] = _bodies(story.incremental, "Stop")
    assert (stop["keyword"], stop["local_day"]) == ("STOP", "2026-04-03")


def test_of_two_ids_the_other_takes_over(story: Story) -> None:
    assert [row["message_id"] for row in _bodies(story.first, "On its way")] == ["rf_second"]
    [message] = _bodies(story.incremental, "On its way")
    assert (message["message_id"], message["volt_ids"], message["is_deleted"]) == ("rf_first", 1, False)
    [great] = _bodies(story.incremental, "Great")
    assert great["volt_ids"] == 2


def test_what_is_gone_is_flagged_and_what_is_erased_is_removed(story: Story) -> None:
    assert [row["is_deleted"] for row in _bodies(story.incremental, "Anyone awake?")] == [True]
    assert len(_bodies(story.first, "Are you open tomorrow?")) == 1
    assert _bodies(story.incremental, "Are you open tomorrow?") == []


def test_our_numbers_and_both_sides_of_a_text(story: Story) -> None:
    between = [row["message_id"] for row in _bodies(story.incremental, "Got any flagstone left?")]
    assert between == ["rf_between", "rf_received"]
    ghost = next(row for row, _ in story.incremental.values() if row["contact_phone"] == world.GHOST)
    assert (ghost["direction"], ghost["direction_evidence"]) == ("outbound", "own_number")


def test_contacts_and_zones_change_under_a_message(story: Story) -> None:
    assert [row["contact_id"] for row in _bodies(story.incremental, "How much is it?")] == ["201"]
    noah = next(row for row in _bodies(story.incremental, "?") if row["contact_phone"] == world.NOAH)
    assert (noah["sent_local"], noah["local_day"]) == ("2026-07-02T03:02:00", "2026-07-02")


def test_a_webhooks_hint_comes_later(story: Story) -> None:
    [before], [after] = _bodies(story.first, "Hinted"), _bodies(story.incremental, "Hinted")
    assert (before["direction"], before["direction_evidence"]) == ("unknown", "none")
    assert (after["direction"], after["direction_evidence"]) == ("inbound", "webhook")


def test_a_new_word_is_read_in_old_texts(story: Story) -> None:
    assert [row["keyword"] for row in _bodies(story.incremental, "Great")] == [None]
    assert [row["keyword"] for row in _bodies(story.reworded, "Great")] == ["GREAT"]
    assert story.reworded.keys() == story.full.keys()
