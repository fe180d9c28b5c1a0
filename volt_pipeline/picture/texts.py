"""Sections on texts: how many, what became of them, what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from volt_pipeline.picture import wording
from volt_pipeline.picture.blocks import ACCOUNTS_SHOWN, NOT_BUILT, figure, left_out, say, section, table
from volt_pipeline.picture.charts import Bar, Series, bars, columns, line
from volt_pipeline.picture.figures import AccountMonth, Cost, Day, Delivery, DeliveryWeek, Failure, Month, Traffic
from volt_pipeline.picture.markup import Markup, Part, element, join
from volt_pipeline.picture.wording import number, plural, rate, share, usd, usd_each

_BARS_SHOWN = 10
_MONTHS_SHOWN = 24


def volumes(traffic: Traffic | None) -> Markup:
    """Texts a day, by month and by account."""
    if traffic is None:
        return section("volumes", "Texts per day", say(NOT_BUILT))
    if traffic.first_day is None:
        return section("volumes", "Texts per day", say("No text is held yet."))
    days = _each_day(traffic)
    return section(
        "volumes",
        "Texts per day",
        _days_chart(days) if any(day.inbound + day.outbound + day.unknown for day in days) else say(_SILENT_DAYS),
        _months_table(traffic.months),
        _accounts_table(traffic.accounts),
    )


_SILENT_DAYS = "No text in the last 60 days."


def _each_day(traffic: Traffic) -> list[Day]:
    """The last 60 days, or those since the first one held; a day without a row had no text."""
    held = {day.day: day for day in traffic.days}
    first = max(traffic.today - timedelta(days=59), traffic.first_day or traffic.today)
    count = (traffic.today - first).days + 1
    each = (first + timedelta(days=at) for at in range(max(count, 1)))
    return [held.get(day) or Day(day, 0, 0, 0) for day in each]


def _days_chart(days: list[Day]) -> Markup:
    series = [
        Series("in", "in", [day.inbound for day in days]),
        Series("out", "out", [day.outbound for day in days]),
        Series("other", "other", [day.unknown for day in days]),
    ]
    labels = [wording.short_day(day.day) for day in days]
    about = (
        f"Stacked columns, a day each, {labels[0]} to {labels[-1]}: {sum(series[0].values):,} texts in, "
        f"{sum(series[1].values):,} out. The numbers are in the table below."
    )
    has_unknown = any(series[2].values)
    numbers = table(
        "Texts per day, all accounts",
        ("day", "in", "out", *(["direction unknown"] if has_unknown else [])),
        [
            (wording.day(day.day), number(day.inbound), number(day.outbound))
            + ((number(day.unknown),) if has_unknown else ())
            for day in reversed(days)
        ],
    )
    return figure(
        _key(
            "Texts per day, all accounts: ",
            ("in", "in"),
            ("out", "out"),
            *([("direction unknown", "other")] * has_unknown),
        ),
        lambda width: columns("days", "Texts in and out per day", about, labels, series, width),
        numbers,
    )


def _key(title: str, *names: tuple[str, str]) -> Markup:
    return join(
        title,
        *(join(" " if at else "", element("b", name, class_=f"key {style}")) for at, (name, style) in enumerate(names)),
    )


def _months_table(months: list[Month]) -> Markup:
    shown = months[:_MONTHS_SHOWN]
    rows = [
        (
            f"{month.month:%b %Y}",
            number(month.inbound),
            number(month.outbound),
            share(month.delivered, month.delivered + month.failed),
            number(month.pending),
            number(month.opt_outs),
            usd(month.usd),
        )
        for month in shown
    ]
    head = ("month", "in", "out", "delivered of settled", "pending", "opt-outs", "estimated cost")
    drawn = table("By month", head, rows, more=left_out(len(shown), len(months), "month"))
    return element("details", element("summary", "By month"), drawn)


def _accounts_table(accounts: list[AccountMonth]) -> Markup:
    if not accounts:
        return say("No account had a text in the last 60 days.")
    shown, rest = accounts[:ACCOUNTS_SHOWN], accounts[ACCOUNTS_SHOWN:]
    rows = [_account_row(wording.name(one.account), [one]) for one in shown]
    if rest:
        rows.append(_account_row(left_out(0, len(rest), "account"), rest))
    if len(accounts) > 1:
        rows.append(_account_row("All accounts", accounts))
    head = ("account", "in", "out", "delivered of settled", "pending", "opt-outs")
    return table("By account, last 30 days", head, rows, total=len(accounts) > 1)


def _account_row(name: str, accounts: Sequence[AccountMonth]) -> tuple[Part, ...]:
    delivered, failed = sum(one.delivered for one in accounts), sum(one.failed for one in accounts)
    return (
        name,
        number(sum(one.inbound for one in accounts)),
        number(sum(one.outbound for one in accounts)),
        share(delivered, delivered + failed),
        number(sum(one.pending for one in accounts)),
        number(sum(one.opt_outs for one in accounts)),
    )


def deliveries(delivery: Delivery | None) -> Markup:
    """The delivery rate by week, and why texts fail."""
    title = "Delivery, and why texts fail"
    if delivery is None:
        return section("delivery", title, say(NOT_BUILT))
    if not delivery.weeks:
        return section("delivery", title, say("No text went out in the last 26 weeks."))
    stuck = sum(cost.stuck for cost in delivery.costs)
    about_stuck = (
        f"{plural(stuck, 'text')} of the last 30 days {'is' if stuck == 1 else 'are'} still pending after 72 hours, "
        "when Volt is asked no more: some carriers never confirm."
    )
    return section(
        "delivery",
        title,
        say("Delivered texts of those that settled (delivered or failed); pending ones are in neither."),
        _weeks_chart(_each_week(delivery.weeks)),
        say(about_stuck) if stuck else None,
        _failures(delivery.failures),
    )


def _each_week(weeks: list[DeliveryWeek]) -> list[DeliveryWeek]:
    held = {week.week: week for week in weeks}
    first, count = weeks[0].week, (weeks[-1].week - weeks[0].week).days // 7 + 1
    each = (first + timedelta(weeks=at) for at in range(count))
    return [held.get(week) or DeliveryWeek(week, 0, 0, 0) for week in each]


def _weeks_chart(weeks: list[DeliveryWeek]) -> Markup:
    labels = [wording.short_day(week.week) for week in weeks]
    values = [
        100 * week.delivered / (week.delivered + week.failed)
        if week.delivered + week.failed >= wording.ENOUGH
        else None
        for week in weeks
    ]
    numbers = table(
        "Delivery by week, all accounts",
        ("week from", "delivered of settled", "failed", "pending"),
        [
            (
                wording.day(week.week),
                share(week.delivered, week.delivered + week.failed),
                number(week.failed),
                number(week.pending),
            )
            for week in reversed(weeks)
        ],
    )
    if sum(value is not None for value in values) < 2:
        return join(say("There is not enough data yet for a line of weeks."), numbers)
    about = f"A line, a point a week from {labels[0]} to {labels[-1]}; weeks with too few texts are left out."
    return figure(
        "Delivery rate by week, all accounts (the axis does not begin at 0)",
        lambda width: line("delivery-weeks", "Delivery rate by week", about, labels, values, width),
        numbers,
    )


def _failures(failures: list[Failure]) -> Markup:
    total = sum(failure.texts for failure in failures)
    if not total:
        return say("No text failed in the last 30 days.")
    shown = failures[:_BARS_SHOWN]
    rows = [(failure.reason or "no reason given", failure.texts) for failure in shown]
    if len(failures) > len(shown):
        rest = failures[len(shown) :]
        rows.append((left_out(0, len(rest), "reason"), sum(failure.texts for failure in rest)))
    drawn = [Bar(reason, texts, f"{texts:,}") for reason, texts in rows]
    numbers = table(
        "Why texts failed, last 30 days",
        ("reason", "texts", "of all failed"),
        [(reason, number(texts), rate(texts, total)) for reason, texts in rows],
    )
    return figure(
        f"Why {plural(total, 'text')} failed in the last 30 days",
        lambda width: bars("failures", "Failed texts by reason", "A bar a reason.", drawn, width, "out"),
        numbers,
    )


def costs(delivery: Delivery | None) -> Markup:
    """What texts cost by account."""
    if delivery is None:
        return section("costs", "Cost", say(NOT_BUILT))
    priced = sum(cost.priced for cost in delivery.costs)
    if not priced:
        return section("costs", "Cost", say("No text of the last 30 days has a price."))
    usd_total, texts = sum(cost.usd or 0 for cost in delivery.costs), sum(cost.texts for cost in delivery.costs)
    unpriced = f", {texts - priced:,} without a direction have no price" if texts > priced else ""
    return section(
        "costs",
        "Cost",
        say(
            f"About {usd(usd_total)} in the last 30 days for {plural(priced, 'text')} in and out{unpriced}. "
            "An estimate: segments at the rates of the seed message_rates, without carrier fees and subscription."
        ),
        _costs_chart(delivery.costs),
    )


def _costs_chart(found: list[Cost]) -> Markup:
    shown = found[:_BARS_SHOWN]
    drawn = [Bar(wording.name(cost.account), cost.usd, usd(cost.usd)) for cost in shown]
    listed = found[:ACCOUNTS_SHOWN]
    numbers = table(
        "Estimated cost by account, last 30 days",
        ("account", "estimated cost", "texts priced", "segments", "per text"),
        [
            (
                wording.name(cost.account),
                usd(cost.usd),
                number(cost.priced),
                number(cost.segments),
                usd_each(cost.usd / cost.priced if cost.usd is not None and cost.priced else None),
            )
            for cost in listed
        ],
        more=left_out(len(listed), len(found), "account"),
    )
    more = left_out(len(shown), len(found), "account")
    return figure(
        "Estimated cost by account, last 30 days" + (f" (the highest; {more})" if more else ""),
        lambda width: bars("costs", "Estimated cost by account", "A bar an account.", drawn, width),
        numbers,
    )
