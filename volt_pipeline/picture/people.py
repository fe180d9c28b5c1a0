"""Sections on people: how fast they are answered, and what they consented to. Nobody is named."""

from __future__ import annotations

from datetime import date, timedelta

from volt_pipeline.picture import wording
from volt_pipeline.picture.blocks import ACCOUNTS_SHOWN, NOT_BUILT, figure, left_out, say, section, table
from volt_pipeline.picture.charts import Bar, Series, bars, columns
from volt_pipeline.picture.figures import (
    Answers,
    Consent,
    ConsentWeek,
    Response,
    Waiting,
)
from volt_pipeline.picture.markup import Markup, Part, element, join
from volt_pipeline.picture.wording import ENOUGH, TOO_FEW, UNKNOWN, minutes, number, plural, rate, share

_STEPS = ("up to 5 min", "5 to 15 min", "15 to 60 min", "1 to 4 h", "4 to 24 h", "over 24 h")


def median(value: float | None, count: int) -> str:
    """A median in words, if enough turns are behind it."""
    return TOO_FEW if value is None or count < ENOUGH else minutes(value)


def responses(answers: Answers | None) -> Markup:
    """How long a first response takes, and who waits for one."""
    title = "Response times"
    if answers is None:
        return section("responses", title, say(NOT_BUILT))
    total = answers.responses[-1]
    if not total.asked:
        return section("responses", title, say("Nobody asked anything in the last 30 days."), _waiting(answers.waiting))
    return section(
        "responses",
        title,
        say(
            "From the first message of a session to an agent's answer, of sessions that began in the last 30 days. "
            "Waves, failed texts and replies within 10 seconds answer nobody; keywords such as STOP want no answer."
        ),
        _spread_chart(answers, total),
        _responses_table(answers.responses),
        _waiting(answers.waiting),
    )


def _spread_chart(answers: Answers, total: Response) -> Markup:
    unanswered = total.asked - total.answered
    drawn = [Bar(name, step.by_clock, f"{step.by_clock:,}") for name, step in zip(_STEPS, answers.spread, strict=True)]
    drawn.append(Bar("not answered so far", unanswered, f"{unanswered:,}"))
    rows: list[tuple[Part, ...]] = [
        (name, number(step.by_clock), rate(step.by_clock, total.asked), number(step.by_hours))
        for name, step in zip(_STEPS, answers.spread, strict=True)
    ]
    rows.append(("not answered so far", number(unanswered), rate(unanswered, total.asked), UNKNOWN))
    numbers = table(
        "Time to the first response, last 30 days",
        ("answered after", "by the clock", "of all asked", "by opening hours"),
        rows,
        more=f"By opening hours: the {number(total.in_hours)} answered in accounts whose hours are in account_hours.",
    )
    return figure(
        f"Time to the first response by the clock, of {plural(total.asked, 'session')}",
        lambda width: bars("responses", "Sessions by the time to their first response", "A bar a step.", drawn, width),
        numbers,
    )


def _responses_table(found: list[Response]) -> Markup:
    *accounts, total = found
    shown = [*accounts[:ACCOUNTS_SHOWN], *([total] if len(accounts) > 1 else [])]
    return table(
        "First response by account, last 30 days",
        ("account", "answered of asked", "median by the clock", "median by opening hours"),
        [
            (
                wording.name(one.account) if one.account is not None else "All accounts",
                share(one.answered, one.asked),
                median(one.clock_minutes, one.answered),
                median(one.business_minutes, one.in_hours),
            )
            for one in shown
        ],
        more=left_out(ACCOUNTS_SHOWN, len(accounts), "account"),
        total=len(accounts) > 1,
    )


def _waiting(found: list[Waiting]) -> Markup:
    if not found:
        return say("Nobody is waiting for an answer.")
    shown = found[:ACCOUNTS_SHOWN]
    return table(
        "Waiting for an answer now",
        ("account", "people", "over 24 hours", "over 30 days", "longest since"),
        [
            (
                wording.name(one.account),
                number(one.people),
                number(one.over_a_day),
                number(one.over_a_month),
                wording.day(one.oldest),
            )
            for one in shown
        ],
        more=left_out(len(shown), len(found), "account"),
    )


def consents(consent: Consent | None, today: date) -> Markup:
    """Who may be texted, who left and who came back."""
    if consent is None:
        return section("consent", "Consent", say(NOT_BUILT))
    now, changes = consent.now, consent.changes
    rows = [
        ("Contacts", number(now.contacts), ""),
        ("may be texted", number(now.can_text), rate(now.can_text, now.contacts)),
        ("opted out now", number(now.opted_out), rate(now.opted_out, now.contacts)),
        ("blocked in Volt", number(now.blocked), rate(now.blocked, now.contacts)),
        (
            "sound like they wish to stop: to be reviewed",
            number(now.needs_review),
            rate(now.needs_review, now.contacts),
        ),
    ]
    out = changes.texted_while_out
    return section(
        "consent",
        "Consent",
        table("Contacts by consent, now", ("who", "contacts", "of all"), rows),
        say(
            f"{plural(changes.left_ever, 'person has', 'people have')} ever opted out by a clear word (STOP and its "
            f"kin), and {changes.came_back:,} of them came back."
        ),
        say(
            element("strong", f"{plural(out, 'text')} went out in the last 30 days to people who were opted out. "),
            "Some may be confirmations of the opt-out itself; question 10 in docs/analysts.md lists them.",
            style="warn",
        )
        if out
        else say("No text went out in the last 30 days to anyone who was opted out."),
        _consent_chart(_each_consent_week(consent.weeks, today)),
    )


def _each_consent_week(weeks: list[ConsentWeek], today: date) -> list[ConsentWeek]:
    if not weeks:
        return []
    held = {week.week: week for week in weeks}
    count = (today - weeks[0].week).days // 7 + 1
    each = (weeks[0].week + timedelta(weeks=at) for at in range(max(count, 1)))
    return [held.get(week) or ConsentWeek(week, 0, 0) for week in each]


def _consent_chart(weeks: list[ConsentWeek]) -> Markup:
    if not weeks:
        return say("Nobody opted out or came back in the last 26 weeks.")
    labels = [wording.short_day(week.week) for week in weeks]
    series = [
        Series("out", "out", [week.opt_outs for week in weeks]),
        Series("back", "in", [week.came_back for week in weeks]),
    ]
    about = f"Stacked columns, a week each, {labels[0]} to {labels[-1]}: opt-outs, and above them who came back."
    numbers = table(
        "Changes of consent by week",
        ("week from", "opted out", "came back"),
        [(wording.day(week.week), number(week.opt_outs), number(week.came_back)) for week in reversed(weeks)],
    )
    title = join(
        "People by week: ",
        element("b", "opted out", class_="key out"),
        " ",
        element("b", "came back", class_="key in"),
    )
    return figure(
        title, lambda width: columns("consent-weeks", "Changes of consent", about, labels, series, width), numbers
    )
