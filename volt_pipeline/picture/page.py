"""The page: one HTML file without scripts that asks no network for anything; its own policy forbids it to."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from volt_pipeline.errors import ExplainedError
from volt_pipeline.picture import campaigns, people, texts, trust, wording
from volt_pipeline.picture.blocks import Tile, tiles
from volt_pipeline.picture.figures import AccountMonth, Answers, Cost, Picture, Traffic
from volt_pipeline.picture.markup import Markup, Part, element
from volt_pipeline.picture.people import median
from volt_pipeline.picture.reading import read
from volt_pipeline.picture.wording import change, number, plural, rate, usd

FILE = "report.html"
TITLE = "Texts at a glance"
UNBUILT = "There is nothing to show yet: no mart is built here. Run volt-pipeline sync (without --raw)."
EMPTY = "There is nothing to show yet: the marts are built and hold no text, no contact and no wave."
_PAGES = (
    ("volumes", "Volumes"),
    ("delivery", "Delivery"),
    ("responses", "Responses"),
    ("waves", "Waves"),
    ("consent", "Consent"),
    ("lists", "Lists"),
    ("costs", "Cost"),
    ("push", "Last push"),
    ("trust", "Trust"),
)


class ReportNotWritten(ExplainedError):
    """The file cannot be written."""


def draw(connection: psycopg.Connection[Any], now: datetime, place: Path) -> None:
    """Read the figures over a fresh connection and put the page at `place`, whole or not at all.

    Raises ReportNotWritten.
    """
    page = written(read(connection, now))
    partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(page, encoding="utf-8")
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ReportNotWritten(
            f"The report cannot be written to {place} ({error.strerror}); give volt-pipeline report another file with "
            "--output, or name another VOLT_HOME."
        ) from None


def written(picture: Picture) -> str:
    """The page as HTML."""
    made = wording.moment(picture.made_at)
    header = element(
        "header",
        element("h1", TITLE),
        element("p", f"Made {made}. The last 30 days are today and the 29 before it.", class_="note"),
        trust.trust_line(picture.trust, picture.made_at) if picture.is_built else None,
    )
    footer = element("footer", element("p", "Made by volt-pipeline. It names no contact and quotes no message."))
    body = element("body", header, element("main", *_sections(picture)), footer)
    return "<!DOCTYPE html>\n" + element("html", _head(), body, lang="en") + "\n"


def _head() -> Markup:
    digest = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", TITLE),
        element("style", _style()),
    )


@cache
def _style() -> Markup:
    return Markup(Path(__file__).with_name("page.css").read_text(encoding="utf-8"))


def _sections(picture: Picture) -> list[Part]:
    if not picture.is_built:
        return [element("p", UNBUILT)]
    ended = trust.details(picture.trust, picture.traffic, picture.made_at)
    if _is_empty(picture):
        return [element("p", EMPTY), ended]
    today = picture.traffic.today if picture.traffic else picture.made_at.date()
    return [
        element("h2", "The last 30 days", class_="first"),
        tiles(_headline(picture)),
        element("nav", *(element("a", name, href=f"#{key}") for key, name in _PAGES), aria_label="Sections"),
        texts.volumes(picture.traffic),
        texts.deliveries(picture.delivery),
        people.responses(picture.answers),
        campaigns.waves(picture.waves),
        people.consents(picture.consent, today),
        campaigns.lists(picture.lists),
        texts.costs(picture.delivery),
        trust.last_push(picture.pushed),
        ended,
    ]


def _is_empty(picture: Picture) -> bool:
    held = [
        picture.traffic is None or picture.traffic.first_day is not None,
        picture.consent is None or picture.consent.now.contacts > 0,
        picture.waves is None or picture.waves.totals.campaigns + picture.waves.totals.single_texts > 0,
    ]
    return not any(held)


def _headline(picture: Picture) -> list[Tile]:
    shown: list[Tile] = []
    if picture.traffic is not None:
        shown += _traffic_tiles(picture.traffic)
    if picture.answers is not None:
        shown += _answer_tiles(picture.answers)
    if picture.delivery is not None:
        shown.append(_cost_tile(picture.delivery.costs))
    return shown


def _traffic_tiles(traffic: Traffic) -> list[Tile]:
    if traffic.first_day is None:
        return []
    # Held for less than 60 days: what came before it is unknown, not 0.
    comparable = (traffic.today - traffic.first_day).days >= 59

    def total(name: str) -> int:
        return sum(getattr(account, name) for account in traffic.accounts)

    def before(name: str) -> int | None:
        return total(f"{name}_before") if comparable else None

    settled = total("delivered") + total("failed")
    pending = f"of {plural(settled, 'settled text')}; {total('pending'):,} still pending"
    return [
        Tile("Texts in", number(total("inbound")), change(total("inbound"), before("inbound"))),
        Tile("Texts out", number(total("outbound")), change(total("outbound"), before("outbound"))),
        Tile("Delivered", rate(total("delivered"), settled), pending + _delivery_before(traffic.accounts, comparable)),
        Tile("Opt-outs", number(total("opt_outs")), change(total("opt_outs"), before("opt_outs"))),
    ]


def _delivery_before(accounts: list[AccountMonth], comparable: bool) -> str:
    delivered = sum(account.delivered_before for account in accounts)
    settled = delivered + sum(account.failed_before for account in accounts)
    if not comparable or settled < wording.ENOUGH:
        return ""
    return f"; {rate(delivered, settled)} in the 30 days before"


def _answer_tiles(answers: Answers) -> list[Tile]:
    total = answers.responses[-1]
    people_waiting = sum(one.people for one in answers.waiting)
    long = sum(one.over_a_day for one in answers.waiting)
    longest = sum(one.over_a_month for one in answers.waiting)
    return [
        Tile(
            "Median first response",
            median(total.clock_minutes, total.answered),
            f"by the clock; {total.answered:,} of {total.asked:,} sessions answered",
        ),
        Tile(
            "By opening hours",
            median(total.business_minutes, total.in_hours),
            f"median of {plural(total.in_hours, 'answered session')} where hours are known",
        ),
        Tile(
            "Waiting for an answer",
            number(people_waiting),
            f"people; {long:,} for over 24 hours, {longest:,} for over 30 days",
        ),
    ]


def _cost_tile(costs: list[Cost]) -> Tile:
    priced = sum(cost.priced for cost in costs)
    total = sum(cost.usd or 0 for cost in costs) if priced else None
    return Tile("Estimated cost", usd(total), f"of {plural(priced, 'priced text')} in and out")
