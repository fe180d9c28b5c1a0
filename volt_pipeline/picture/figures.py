"""What the page shows, as it was asked of the warehouse: figures without words. A rate comes as its two parts.

None stands for what is not known, which is never 0. A section is None where a mart that it needs is not built.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class AccountMonth:
    """An account's texts of the last 30 days, and of the 30 days before."""

    account: str
    inbound: int
    outbound: int
    inbound_before: int
    outbound_before: int
    delivered: int
    failed: int
    pending: int
    delivered_before: int
    failed_before: int
    opt_outs: int
    opt_outs_before: int


@dataclass(frozen=True)
class Day:
    """Texts of one local day, all accounts together."""

    day: date
    inbound: int
    outbound: int
    unknown: int


@dataclass(frozen=True)
class Month:
    """Texts of one month; `usd` is None where no text has a price."""

    month: date
    inbound: int
    outbound: int
    unknown: int
    delivered: int
    failed: int
    pending: int
    opt_outs: int
    usd: float | None


@dataclass(frozen=True)
class Traffic:
    """How much was said. `first_day` is None where nothing is held; `accounts` begins with the busiest."""

    today: date
    first_day: date | None
    accounts: list[AccountMonth]
    days: list[Day]
    months: list[Month]


@dataclass(frozen=True)
class DeliveryWeek:
    """Outbound texts of the week that begins on this Monday."""

    week: date
    delivered: int
    failed: int
    pending: int


@dataclass(frozen=True)
class Failure:
    """Why texts failed, and how many."""

    reason: str | None
    texts: int


@dataclass(frozen=True)
class Cost:
    """An account's texts of the month: `stuck` are outbound ones that are not settled after 72 hours."""

    account: str
    texts: int
    priced: int
    usd: float | None
    segments: int | None
    stuck: int


@dataclass(frozen=True)
class Delivery:
    """What became of outbound texts: 26 weeks, and the month's failures."""

    weeks: list[DeliveryWeek]
    failures: list[Failure]
    costs: list[Cost]


@dataclass(frozen=True)
class Response:
    """First turns of the month's sessions. `account` is None for all together; medians in minutes.

    `in_hours` counts the answered ones whose account has opening hours.
    """

    account: str | None
    asked: int
    answered: int
    in_hours: int
    clock_minutes: float | None
    business_minutes: float | None


@dataclass(frozen=True)
class Step:
    """Turns that were answered within a step of time: up to 5, 15, 60, 240, 1440 minutes, and later."""

    step: int
    by_clock: int
    by_hours: int


@dataclass(frozen=True)
class Waiting:
    """People of an account whose last word nobody has answered."""

    account: str
    people: int
    over_a_day: int
    over_a_month: int
    oldest: datetime


@dataclass(frozen=True)
class Answers:
    """How fast people are answered; the last of `responses` is all accounts together."""

    responses: list[Response]
    spread: list[Step]
    waiting: list[Waiting]


@dataclass(frozen=True)
class Wave:
    """A campaign. Totals are Volt's own; replies, opt-outs and cost are of what is held, see `coverage`."""

    name: str | None
    account: str
    day: date | None
    total_messages: int | None
    total_delivered: int | None
    total_failed: int | None
    total_pending: int | None
    coverage: float | None
    delivered_loaded: int | None
    repliers_72h: int | None
    opt_outs: int | None
    usd: float | None


@dataclass(frozen=True)
class WaveTotals:
    """All campaigns together, and how many waves went to a single contact."""

    campaigns: int
    single_texts: int
    total_delivered: int | None
    total_failed: int | None
    total_pending: int | None
    delivered_loaded: int | None
    repliers_72h: int | None
    opt_outs: int | None
    usd: float | None


@dataclass(frozen=True)
class Waves:
    """The newest campaigns."""

    shown: list[Wave]
    totals: WaveTotals


@dataclass(frozen=True)
class ConsentNow:
    """Contacts by what may be done with them."""

    contacts: int
    opted_out: int
    blocked: int
    can_text: int
    needs_review: int


@dataclass(frozen=True)
class ConsentChanges:
    """Conversations that ever opted out, those of them that are back, and texts of the month sent to people out."""

    left_ever: int
    came_back: int
    texted_while_out: int


@dataclass(frozen=True)
class ConsentWeek:
    """Changes of consent in the week that begins on this Monday."""

    week: date
    opt_outs: int
    came_back: int


@dataclass(frozen=True)
class Consent:
    """Who may be texted, and how that changed in 26 weeks."""

    now: ConsentNow
    changes: ConsentChanges
    weeks: list[ConsentWeek]


@dataclass(frozen=True)
class ListSize:
    """A list. `days` are offsets from the first of the last 60 days on which a size was seen, `sizes` the sizes."""

    name: str | None
    account: str
    first_day: date
    size: int | None
    size_before: int | None
    size_at_first: int | None
    days: list[int]
    sizes: list[int]


@dataclass(frozen=True)
class Lists:
    """The lists that moved most, and how many there are."""

    shown: list[ListSize]
    count: int


@dataclass(frozen=True)
class Pushed:
    """Rows of the last push with one outcome."""

    export: str
    action: str
    status: str
    reason: str
    rows: int
    pushed_at: datetime


@dataclass(frozen=True)
class Coverage:
    """A stream's rows held against Volt's own totals, over its `subjects` (inboxes, conversations, waves, lists).

    `missing` are rows that Volt counts and nothing explains; `withheld` are of people who were forgotten.
    """

    stream: str
    subjects: int
    total: int
    held: int
    rejected: int
    unidentifiable: int
    withheld: int
    missing: int
    with_gap: int


@dataclass(frozen=True)
class Reject:
    """What waits in quarantine, by reason."""

    stream: str
    reason: str
    rows: int
    since: datetime


@dataclass(frozen=True)
class LastSync:
    """The last sync that began. `oldest_contact_reading` in seconds, as of its end."""

    started_at: datetime
    finished_at: datetime | None
    outcome: str
    oldest_contact_reading: float | None


@dataclass(frozen=True)
class Trust:
    """How far the page can be trusted."""

    coverage: list[Coverage]
    rejects: list[Reject]
    last_sync: LastSync | None


@dataclass(frozen=True)
class Picture:
    """All of it, as of `made_at`."""

    made_at: datetime
    trust: Trust
    traffic: Traffic | None
    delivery: Delivery | None
    answers: Answers | None
    waves: Waves | None
    consent: Consent | None
    lists: Lists | None
    pushed: list[Pushed] | None

    @property
    def is_built(self) -> bool:
        """Whether there is any mart to show."""
        sections = (self.traffic, self.delivery, self.answers, self.waves, self.consent, self.lists, self.pushed)
        return any(section is not None for section in sections)
