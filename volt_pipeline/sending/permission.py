"""Every check before an attempt, in one place: whether an intent may go out now, later, or never. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from volt_pipeline.sending.consent import KEYWORDS, Standing, objection
from volt_pipeline.sending.hours import opens_at
from volt_pipeline.sending.intents import Intent
from volt_pipeline.sending.transitions import Evidence

LATER = timedelta(minutes=15)  # what only a person, a sync or dbt can mend is looked at again so soon
CALL = timedelta(minutes=1)  # how long before its time Volt must have a scheduled text


@dataclass(frozen=True, slots=True)
class Limits:
    """`per_run` attempts a run, `per_recipient` texts to one phone in 24 hours."""

    per_run: int = 500
    per_recipient: int = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """PERMITTED, HELD (until `due_at`, when it is looked at again) or FORBIDDEN, and why."""

    evidence: Evidence
    reason: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaveFacts:
    """Of a wave: Volt's fresh sizes of its lists (None: not readable), who answers for how many, and known opt-outs."""

    sizes: Mapping[str, int | None] = field(default_factory=dict)
    approved_size: int | None = None
    opted_out: int = 0  # members of its lists who opted out, but whom Volt does not know as blocked


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at this moment. `consent_known`: the marts stand, and the account's contacts are in them."""

    accounts: Collection[str]
    own_numbers: Collection[str]
    consent_known: bool
    standings: Mapping[str, Standing] = field(default_factory=dict, repr=False)
    account_zone: str | None = None
    keywords: Mapping[str, str] = field(default_factory=lambda: KEYWORDS)
    wave: WaveFacts = field(default_factory=WaveFacts)


def judge(intent: Intent, facts: Facts, now: datetime, *, fresh: bool = True) -> Verdict:
    """The first check that objects decides. Without `fresh` those that need Volt's own word are left for later."""
    return (
        _expired(intent, now)
        or _ours(intent, facts)
        or _account(intent, facts, now)
        or _consent(intent, facts, now, fresh)
        or (_wave(intent, facts, now) if fresh else None)
        or _hours(intent, facts, now)
        or Verdict(Evidence.PERMITTED)
    )


def _forbidden(reason: str) -> Verdict:
    return Verdict(Evidence.FORBIDDEN, reason)


def _held(reason: str, due_at: datetime) -> Verdict:
    return Verdict(Evidence.HELD, reason, due_at)


def _expired(intent: Intent, now: datetime) -> Verdict | None:
    if now >= intent.expires_at:
        return _forbidden("expired: expires_at has passed")
    if intent.scheduled_at is not None and intent.scheduled_at < now + CALL:
        return _forbidden("expired: scheduled_at has passed")
    return None


def _ours(intent: Intent, facts: Facts) -> Verdict | None:
    ours = {*facts.own_numbers, *facts.accounts}
    if ours.intersection(intent.recipients):
        return _forbidden("its recipient is one of our own numbers")
    return None


def _account(intent: Intent, facts: Facts, now: datetime) -> Verdict | None:
    if intent.account_phone in facts.accounts:
        return None
    return _held(f"its account {intent.account_phone} is not among VOLT_ACCOUNTS", now + LATER)


def _consent(intent: Intent, facts: Facts, now: datetime, fresh: bool) -> Verdict | None:
    objections = [found for each in facts.standings.values() if (found := objection(each, facts.keywords))]
    if objections:
        many = len(intent.recipients)
        return _forbidden(objections[0] if many == 1 else f"{objections[0]} ({len(objections)} of {many} recipients)")
    if not facts.consent_known:
        return _held("no consent table: run `volt-pipeline sync`, which builds volt_marts.contacts", now + LATER)
    missing = set(intent.recipients) - facts.standings.keys()
    if fresh and (missing or not all(each.readable for each in facts.standings.values())):
        return _held("Volt does not say whether the contact is blocked", now + LATER)
    return None


def _wave(intent: Intent, facts: Facts, now: datetime) -> Verdict | None:
    if intent.kind != "wave":
        return None
    unread = sum(size is None for size in facts.wave.sizes.values())
    if unread or facts.wave.sizes.keys() != set(intent.list_names):
        return _held("a list of the wave cannot be read from Volt", now + LATER)
    approved = facts.wave.approved_size
    if approved is None:
        return None  # a draft texts nobody
    size = total_size(facts.wave.sizes.values())
    if size > approved:
        return _held(f"its lists hold {size:,} contacts, more than the {approved:,} approved", now + LATER)
    if facts.wave.opted_out:
        words = f"{facts.wave.opted_out:,} contacts of its lists have opted out, and Volt does not block them"
        return _held(f"{words}: block them in Volt or take them off the lists", now + LATER)
    return None


def total_size(sizes: Collection[int | None]) -> int:
    """The most contacts that lists of these sizes reach together."""
    return sum(size or 0 for size in sizes)


def _hours(intent: Intent, facts: Facts, now: datetime) -> Verdict | None:
    if intent.kind == "wave" and facts.wave.approved_size is None:
        return None
    at = intent.scheduled_at or now
    opening = opens_at(at, intent.recipients, facts.account_zone)
    if opening == at:
        return None
    if opening is None:
        why = "quiet hours: no hour is known in which all its time zones allow texts (seed account_zones)"
        return _held(why, now + LATER)
    if intent.scheduled_at is not None:
        return _forbidden("quiet hours: scheduled_at is not between 8 and 21 o'clock at the recipient's")
    return _held("quiet hours", opening)
