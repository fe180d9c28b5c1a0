"""The marts of the fixture world, whose right answers are known."""

from __future__ import annotations

from . import fixture_world as world
from .conftest import Built


def test_a_text_between_two_of_our_accounts_stands_in_both(warehouse: Built) -> None:
    found = warehouse.rows(
        "select account_id, direction, contact_phone, contact_id, sender from volt_marts.messages"
        " where message_id = 'rf_between' order by account_id"
    )
    assert found == [
        ("1", "outbound", world.PHOENIX, "106", "agent"),
        ("2", "inbound", world.TULSA, "107", "contact"),
    ]


def test_one_carrier_message_under_two_ids_is_one_row(warehouse: Built) -> None:
    found = warehouse.rows("select message_id, status from volt_marts.messages where body = 'On its way'")
    assert found == [("rf_second", "delivered")]
    assert warehouse.value("select count(*) from volt_marts.messages where body in ('one', 'two')") == 2


def test_what_nothing_tells_is_unknown(warehouse: Built) -> None:
    message = warehouse.row("volt_marts.messages", contact_phone=world.GHOST)
    assert (message["direction"], message["direction_evidence"], message["sender"]) == ("unknown", "none", None)
    assert message["estimated_cost_usd"] is None


def test_local_time_and_price(warehouse: Built) -> None:
    reply = warehouse.row("volt_marts.messages", body="How much is it?")
    assert reply["sent_local"].isoformat() == "2026-07-02T10:00:00"
    picture = warehouse.row("volt_marts.messages", encoding="mms")
    assert (picture["media_count"], picture["segments"], float(picture["estimated_cost_usd"])) == (1, 1, 0.01)
    assert warehouse.row("volt_marts.messages", body="Last day 🧱")["non_gsm_characters"] == "🧱"


def test_failures_have_the_reasons_of_the_seed(warehouse: Built) -> None:
    found = warehouse.rows("select failure_reason, status_description from volt_marts.messages where status = 'failed'")
    assert sorted(found) == [
        ("landline", "Destination is a landline"),
        ("taken for spam", "Carrier rejected message as spam"),
    ]


def test_consent_is_the_last_clear_word(warehouse: Built) -> None:
    found = warehouse.rows("select contact_id, consent, can_text, needs_review from volt_marts.contacts order by 1")
    assert found == [
        ("101", "none", True, False),
        ("102", "opt_out", False, False),
        ("103", "none", True, False),
        ("104", "opt_in", True, False),
        ("105", "none", True, True),
        ("106", "none", True, False),
        ("107", "none", True, False),
        ("108", "none", False, False),
        ("110", "none", True, False),
        ("111", "none", True, False),
        ("112", "none", True, False),
    ]
    assert warehouse.row("volt_marts.contacts", contact_id="101")["custom_fields"] == {"customer_type": "contractor"}


def test_conversations_stand_beside_what_volt_counts(warehouse: Built) -> None:
    maria = warehouse.row("volt_marts.conversations", account_id="1", contact_phone=world.MARIA)
    assert (maria["messages_held"], maria["messages_total"], float(maria["coverage"])) == (3, 4, 0.75)
    assert (maria["contact_id"], maria["last_direction"], maria["is_unread"]) == ("101", "inbound", True)
    linh = warehouse.row("volt_marts.conversations", account_id="1", contact_phone=world.LINH)
    assert (linh["messages_held"], float(linh["coverage"])) == (6, 1.0), (
        "both ids of one text count, as Volt counts them"
    )
    unread_yet = warehouse.row("volt_marts.conversations", account_id="3", contact_phone=world.LINH)
    assert (unread_yet["messages_held"], unread_yet["coverage"], unread_yet["last_direction"]) == (0, None, None)


def test_waves_get_the_replies_that_they_were_the_last_before(warehouse: Built) -> None:
    sale = warehouse.row("volt_marts.waves", wave_id="10")
    assert (sale["repliers_24h"], sale["repliers_72h"], sale["opt_outs"]) == (0, 1, 1)
    assert (float(sale["coverage"]), float(sale["delivery_rate"]), float(sale["opt_out_rate"])) == (1.0, 0.6667, 0.5)
    last_day = warehouse.row("volt_marts.waves", wave_id="11")
    assert (last_day["repliers_24h"], last_day["total_pending"], last_day["scheduled_at"]) == (1, 1, None)
    nobody = warehouse.row("volt_marts.waves", wave_id="12")
    assert (nobody["delivery_rate"], nobody["opt_out_rate"], nobody["is_campaign"]) == (None, None, False)


def test_an_organizations_wave_is_counted_over_its_accounts(warehouse: Built) -> None:
    moved = warehouse.row("volt_marts.waves", wave_id="13")
    assert (moved["account_id"], moved["messages_loaded"], moved["delivered_loaded"]) == (None, 2, 2)
    assert (moved["repliers_24h"], moved["repliers_72h"], moved["opt_outs"]) == (1, 2, 0)
    assert moved["is_campaign"]


def test_overlapping_waves_share_no_reply(warehouse: Built) -> None:
    found = warehouse.rows(
        "select m.body, r.wave_id, r.hours_after, r.is_last_touch, r.agent_between from volt_marts.wave_replies as r"
        " join volt_marts.messages as m on m.message_id = r.reply_id order by r.replied_at, r.wave_id"
    )
    assert found == [
        ("Great", "13", 1, True, False),
        ("How much is it?", "10", 22, False, False),
        ("How much is it?", "11", 2, True, False),
        ("Stop.", "10", 30, True, False),
        ("Yes, two pallets", "13", 27, True, True),
        ("STOP", "10", 31, True, False),
    ]


def test_consent_events_are_changes(warehouse: Built) -> None:
    found = warehouse.rows(
        "select contact_phone, effect, keyword, changed_at, next_change_at from volt_marts.consent_events"
        " order by changed_at"
    )
    assert found == [
        (world.WYATT, "opt_out", "UNSUBSCRIBE", world.at(1), world.at(2)),
        (world.WYATT, "opt_in", "YES", world.at(2), None),
        (world.JAMES, "opt_out", "STOP", world.at(30), None),
    ]


def test_sessions_end_after_a_day_of_silence(warehouse: Built) -> None:
    found = warehouse.rows(
        "select started_at, ended_at, started_by, inbound, outbound from volt_marts.sessions"
        " where conversation_id = md5('3|' || :phone) order by started_at",
        phone=world.ROSA,
    )
    assert found == [
        (world.at(3), world.at(4), "wave", 0, 2),
        (world.at(30), world.at(30), "contact", 1, 0),
        (world.at(117.5), world.at(117.5), "agent", 0, 1),
    ]


def test_responses_by_clock_and_by_opening_hours(warehouse: Built) -> None:
    found = warehouse.rows(
        "select contact_phone, asked_at, clock_minutes, business_minutes, is_first_in_session, is_keyword_only"
        " from volt_marts.responses order by asked_at, contact_phone"
    )
    assert found == [
        (world.NOAH, world.at(1), 15, 15, True, False),
        (world.AISHA, world.at(1), None, None, True, True),
        (world.WYATT, world.at(1), None, None, True, True),
        (world.LINH, world.at(3), 60, 60, True, False),
        (world.NOAH, world.at(4), None, None, False, False),
        (world.LINH, world.at(6), None, None, False, False),
        (world.TULSA, world.at(7), None, None, True, False),
        (world.SAM, world.at(12.5), 20, 0, True, False),
        (world.MARIA, world.at(22), None, None, True, False),
        (world.ROSA, world.at(30), 5250, 60, True, False),
        (world.JAMES, world.at(30), 1020, 0, True, True),
    ]


def test_days_are_local(warehouse: Built) -> None:
    found = warehouse.rows(
        "select account_id, to_char(day, 'MM-DD'), inbound, outbound, unknown, delivered, failed, pending, opt_outs,"
        " estimated_cost_usd::float from volt_marts.account_daily order by account_id, day"
    )
    assert found == [
        ("1", "07-01", 5, 7, 0, 4, 1, 2, 1, 0.11),
        ("1", "07-02", 3, 1, 0, 1, 0, 0, 1, 0.0325),
        ("1", "07-03", 0, 1, 0, 1, 0, 0, 0, 0.01),
        ("2", "07-01", 4, 3, 0, 3, 0, 0, 0, 0.07),
        ("3", "07-01", 1, 4, 1, 3, 1, 0, 0, 0.0475),
        ("3", "07-02", 1, 0, 0, 0, 0, 0, 0, 0.0075),
        ("3", "07-06", 0, 1, 0, 1, 0, 0, 0, 0.02),
    ]


def test_lists_by_the_day_and_by_their_members(warehouse: Built) -> None:
    found = warehouse.rows(
        "select list_name, to_char(day, 'MM-DD'), size, net_change, members_seen from volt_marts.lists_daily"
        " order by list_name, day"
    )
    assert found == [
        ("All", "07-01", 2, None, 0),
        ("VIP", "07-01", 2, None, 2),
        ("VIP", "07-02", 3, 1, 3),
        ("VIP", "07-04", 5, 2, 2),
    ]
    on_it = "select contact_phone from volt_marts.list_members where list_name = 'VIP' and account_id = '1' and"
    then = "joined_at <= :moment and (left_at is null or left_at > :moment) order by 1"
    assert warehouse.rows(f"{on_it} {then}", moment=world.at(30)) == [(world.MARIA,), (world.JAMES,), (world.AISHA,)]
    assert warehouse.rows(f"{on_it} {then}", moment=world.at(68)) == [(world.MARIA,), (world.AISHA,)]


def test_pushes_are_told_by_their_last_attempt(warehouse: Built) -> None:
    found = warehouse.rows(
        "select run_id, export, row_key, account_id, contact_phone, action, status, attempts from volt_marts.pushes"
        " order by run_id, export, row_key"
    )
    assert found == [
        ("run-1", "contacts", world.MARIA, "1", world.MARIA, "update", "sent", 2),
        ("run-1", "contacts", world.JAMES, "1", world.JAMES, "refused", "refused", 1),
        ("run-1", "lists", "VIP", "1", None, "create", "sent", 1),
        ("run-2", "contacts", world.MARIA, "1", world.MARIA, "unchanged", "unchanged", 1),
        ("run-2", "contacts", world.JAMES, "1", world.JAMES, "refused", "refused", 1),
        ("run-2", "contacts", world.NOBODY, "1", world.NOBODY, "create", "failed", 1),
        ("run-2", "lists", "VIP", "1", None, "update", "failed", 0),
    ]


def test_every_text_is_on_one_day(warehouse: Built) -> None:
    [(messages, cost)] = warehouse.rows("select count(*), sum(estimated_cost_usd) from volt_marts.messages")
    days = "select sum(inbound + outbound + unknown)::int, sum(estimated_cost_usd) from volt_marts.account_daily"
    assert warehouse.rows(days) == [(messages, cost)]
