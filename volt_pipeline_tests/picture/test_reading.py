"""The figures are those that the fixture world is known to have (docs/analysts.md and docs/metrics.md say the same)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from volt_pipeline.picture import figures
from volt_pipeline.picture.figures import Picture
from volt_pipeline.picture.reading import read

from . import worlds
from .conftest import Connection


def test_traffic(picture: Picture) -> None:
    traffic = picture.traffic
    assert traffic is not None
    assert (traffic.today, traffic.first_day) == (date(2026, 7, 10), date(2026, 7, 1))
    assert [(one.account, one.inbound, one.outbound) for one in traffic.accounts] == [
        (worlds.ACCOUNT, 8, 9),
        ("Denver Store", 2, 5),
        ("Phoenix Store", 4, 3),
    ]
    total = [sum(getattr(one, name) for one in traffic.accounts) for name in ("delivered", "failed", "pending")]
    assert total == [13, 2, 2]
    assert [(day.day.day, day.inbound, day.outbound) for day in traffic.days] == [
        (1, 10, 14),
        (2, 4, 1),
        (3, 0, 1),
        (6, 0, 1),
    ]
    (month,) = traffic.months
    assert (month.delivered, month.failed, month.pending) == (13, 2, 2)
    assert month.usd == pytest.approx(0.2975)


def test_delivery_and_cost(picture: Picture) -> None:
    delivery = picture.delivery
    assert delivery is not None
    assert [(week.week, week.delivered, week.failed) for week in delivery.weeks] == [
        (date(2026, 6, 29), 12, 2),
        (date(2026, 7, 6), 1, 0),
    ]
    reasons = {failure.reason: failure.texts for failure in delivery.failures}
    assert reasons == {"landline": 1, "cannot reach (number)": 1}
    assert sum(cost.texts for cost in delivery.costs) == 32
    assert sum(cost.priced for cost in delivery.costs) == 31
    assert sum(cost.usd or 0 for cost in delivery.costs) == pytest.approx(0.2975)


def test_responses(picture: Picture) -> None:
    answers = picture.answers
    assert answers is not None
    *accounts, total = answers.responses
    assert total == figures.Response(None, 6, 4, 4, 40.0, 37.5)
    assert {(one.account, one.clock_minutes, one.business_minutes, one.asked - one.answered) for one in accounts} == {
        ("Denver Store", 2635.0, 30.0, 0),
        ("Phoenix Store", 15.0, 15.0, 1),
        (worlds.ACCOUNT, 60.0, 60.0, 1),
    }
    assert [step.by_clock for step in answers.spread] == [0, 1, 2, 0, 0, 1]
    assert sum(step.by_hours for step in answers.spread) == total.in_hours
    assert sum(one.people for one in answers.waiting) == 4
    assert sum(one.over_a_day for one in answers.waiting) == 4
    assert sum(one.over_a_month for one in answers.waiting) == 0


def test_waves(picture: Picture) -> None:
    waves = picture.waves
    assert waves is not None
    assert {wave.name: (wave.repliers_72h, wave.opt_outs, wave.coverage) for wave in waves.shown} == {
        "Last day": (1, 0, 0.5),
        worlds.WAVE: (1, 1, 1.0),
        "We moved": (2, 0, 1.0),
    }
    assert (waves.totals.campaigns, waves.totals.single_texts) == (3, 1)
    assert (waves.totals.repliers_72h, waves.totals.opt_outs, waves.totals.delivered_loaded) == (4, 1, 5)


def test_consent(picture: Picture) -> None:
    consent = picture.consent
    assert consent is not None
    assert consent.now == figures.ConsentNow(contacts=11, opted_out=1, blocked=1, can_text=9, needs_review=1)
    assert consent.changes == figures.ConsentChanges(left_ever=2, came_back=1, texted_while_out=1)
    assert consent.weeks == [figures.ConsentWeek(date(2026, 6, 29), 2, 1)]


def test_lists(picture: Picture) -> None:
    assert picture.lists is not None
    assert picture.lists.count == 2
    first = picture.lists.shown[0]
    assert (first.name, first.size, first.size_before, first.size_at_first) == (worlds.LIST, 5, None, 2)
    assert first.sizes == [2, 3, 5]


def test_the_last_push(picture: Picture) -> None:
    assert picture.pushed is not None
    assert [(row.export, row.action, row.status, row.rows) for row in picture.pushed] == [
        ("contacts", "create", "failed", 1),
        ("contacts", "refused", "refused", 1),
        ("contacts", "unchanged", "unchanged", 1),
        ("lists", "update", "failed", 1),
    ]


def test_a_year_later_the_month_is_empty_and_whoever_waits_still_waits(connection: Connection) -> None:
    later = read(connection, worlds.NOW + timedelta(days=365))
    assert later.traffic is not None
    assert later.delivery is not None
    assert later.answers is not None
    assert later.traffic.accounts == []
    assert later.traffic.days == []
    assert later.delivery.failures == []
    assert later.answers.responses == [figures.Response(None, 0, 0, 0, None, None)]
    assert sum(one.over_a_month for one in later.answers.waiting) == 4


def test_what_was_said_before_the_month_is_the_time_before(connection: Connection) -> None:
    later = read(connection, worlds.NOW + timedelta(days=35)).traffic
    assert later is not None
    assert sum(one.inbound for one in later.accounts) == 0
    assert sum(one.inbound_before for one in later.accounts) == 14


@pytest.mark.parametrize(
    ("now", "inbound", "before"),
    [
        (datetime(2026, 7, 30, 18, 0, tzinfo=UTC), 14, 0),
        (datetime(2026, 7, 31, 3, 0, tzinfo=UTC), 14, 0),  # still the 30th in each of the stores
        (datetime(2026, 7, 31, 18, 0, tzinfo=UTC), 4, 10),
        (datetime(2026, 8, 29, 18, 0, tzinfo=UTC), 0, 14),
        (datetime(2026, 8, 30, 18, 0, tzinfo=UTC), 0, 4),
    ],
)
def test_a_month_is_30_local_days(connection: Connection, now: datetime, inbound: int, before: int) -> None:
    """Ten texts came in on the first of July, four on the second."""
    picture = read(connection, now)
    assert picture.traffic is not None
    assert picture.delivery is not None
    accounts = picture.traffic.accounts
    assert sum(one.inbound for one in accounts) == inbound
    assert sum(one.inbound_before for one in accounts) == before
    out = sum(one.outbound for one in accounts)
    unknown = sum(cost.texts - cost.priced for cost in picture.delivery.costs)
    assert sum(cost.texts for cost in picture.delivery.costs) == inbound + out + unknown
    assert sum(one.failed for one in accounts) == sum(failure.texts for failure in picture.delivery.failures)


def test_it_cannot_write(connection: Connection) -> None:
    read(connection, worlds.NOW)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("DELETE FROM volt_marts.waves")


def test_coverage_and_quarantine(spoiled: Connection) -> None:
    spoiled.execute(
        "INSERT INTO volt_ops.walks (stream, account_id, contact_phone, completed_at, total, held, rejected,"
        " unidentifiable, gap) VALUES ('messages', '1', '+19185557001', now(), 10, 7, 1, 0, 2)"
    )
    spoiled.execute(
        "INSERT INTO volt_ops.rejects (stream, key, reason, digest, run_id)"
        " VALUES ('messages', 'a', 'odd time at 918-555-7001', '1', 'run')"
    )
    spoiled.execute(
        "INSERT INTO volt_ops.runs (run_id, kind, started_at, finished_at, outcome, report) VALUES ('run', 'sync',"
        " '2026-07-10 17:00Z', '2026-07-10 17:05Z', 'rejected', '{\"oldest_contact_reading\": 60}')"
    )
    trust = read(spoiled, worlds.NOW).trust
    messages = next(one for one in trust.coverage if one.stream == "messages")
    assert (messages.total, messages.held, messages.rejected, messages.missing, messages.with_gap) == (10, 7, 1, 2, 1)
    assert [(one.reason, one.rows) for one in trust.rejects] == [("odd time at (number)", 1)]
    assert trust.last_sync is not None
    assert (trust.last_sync.outcome, trust.last_sync.oldest_contact_reading) == ("rejected", 60.0)
