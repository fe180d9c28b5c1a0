"""How far to trust the page: in one line at its top, in detail at its end; and what the last push did."""

from __future__ import annotations

from datetime import datetime, timedelta

from volt_pipeline.picture import wording
from volt_pipeline.picture.blocks import NOT_BUILT, left_out, say, section, table
from volt_pipeline.picture.figures import Coverage, LastSync, Pushed, Reject, Traffic, Trust
from volt_pipeline.picture.markup import Markup, element, join
from volt_pipeline.picture.wording import number, plural, rate

SILENT = (
    "What Volt's API cannot reveal: contacts that never texted and were never pushed, waves whose messages are all "
    "unread here, and lists that no contact, wave or other list names."
)
_STALE = timedelta(hours=24)
_TOLERATED = 0.001  # of Volt's totals: a world that moves while it is read is never all there
_ROWS_SHOWN = 10
_DECIDING = ("inbox_items", "messages")  # of lists and waves, Volt shows only what leads to them
_STREAMS = {
    "inbox_items": "inbox items",
    "messages": "messages of conversations",
    "waves": "messages of waves",
    "lists": "members of lists",
}


def doubts(trust: Trust, now: datetime) -> list[str]:
    """What is wrong, in words; nothing when all is well."""
    found = _sync_doubts(trust.last_sync, now)
    found += [_missing(one) for one in trust.coverage if one.stream in _DECIDING and _lacks(one)]
    if rows := sum(reject.rows for reject in trust.rejects):
        found.append(f"{plural(rows, 'row')} could not be stored or read")
    return found


def _lacks(one: Coverage) -> bool:
    return one.missing > one.total * _TOLERATED


def _missing(one: Coverage) -> str:
    return f"{one.missing:,} of {one.total:,} {_STREAMS.get(one.stream, one.stream)} are missing here"


def _sync_doubts(sync: LastSync | None, now: datetime) -> list[str]:
    if sync is None:
        return ["no sync is on record"]
    began = wording.moment(sync.started_at)
    if sync.outcome == "failed":
        return [f"the last sync ({began}) failed"]
    if sync.finished_at is None:
        return [f"the last sync ({began}) has not ended"]
    if now - sync.finished_at > _STALE:
        return [f"the last sync ended more than a day ago ({wording.moment(sync.finished_at)})"]
    return []


def trust_line(trust: Trust, now: datetime) -> Markup:
    """One line for the top of the page."""
    found = doubts(trust, now)
    lesser = [_missing(one) for one in trust.coverage if one.stream not in _DECIDING and _lacks(one)]
    more = join("Of less weight: " + "; ".join(lesser) + ". " if lesser else "", element("a", "Details", href="#trust"))
    if found:
        words = "; ".join(found)
        return say(
            element("strong", "Read with care: "),
            words,
            ". ",
            more,
            style="trust care",
        )
    held = next((one for one in trust.coverage if one.stream == "messages"), None)
    counted = (
        f"{held.held:,} of the {held.total:,} messages that Volt counts are held" if held else "nothing is missing"
    )
    last = wording.moment(trust.last_sync.finished_at if trust.last_sync else None)
    went = "went well" if trust.last_sync and trust.last_sync.outcome == "succeeded" else "left nothing open"
    words = f"{counted}, nothing is in quarantine, and the last sync ({last}) {went}. "
    return say(element("strong", "You can trust this page: "), words, more, style="trust well")


def details(trust: Trust, traffic: Traffic | None, now: datetime) -> Markup:
    """Coverage, quarantine, the last sync, and what nobody can know."""
    return section(
        "trust",
        "How far to trust this page",
        _last_sync(trust.last_sync, now),
        _coverage(trust.coverage),
        _rejects(trust.rejects),
        _unknown(traffic),
        say(SILENT),
        say(
            "Days are those of each account's own calendar (seed account_zones); moments are UTC. A rate stands beside "
            f"what it is of, and is left out where that is fewer than {wording.ENOUGH}. What each figure means is "
            "written in docs/metrics.md."
        ),
    )


def _last_sync(sync: LastSync | None, now: datetime) -> Markup:
    if sync is None:
        return say("No sync is on record.")
    words = f"The last sync began {wording.moment(sync.started_at)} and "
    words += f"ended {wording.moment(sync.finished_at)}: {sync.outcome}." if sync.finished_at else "has not ended."
    if sync.oldest_contact_reading is not None and sync.finished_at:
        age = now - sync.finished_at + timedelta(seconds=sync.oldest_contact_reading)
        words += (
            f" Contacts are read again in turn; the oldest reading is {wording.minutes(age.total_seconds() / 60)} old."
        )
    return say(words)


def _coverage(found: list[Coverage]) -> Markup:
    if not found:
        return say("Nothing was counted against Volt's own totals yet.")
    return table(
        "Held against Volt's own totals",
        (
            "",
            "Volt counts",
            "held",
            "share",
            "rejected",
            "without an ID",
            "of forgotten people",
            "missing",
            "with a gap",
        ),
        [
            (
                _STREAMS.get(one.stream, one.stream),
                number(one.total),
                number(one.held),
                rate(one.held, one.total),
                number(one.rejected),
                number(one.unidentifiable),
                number(one.withheld),
                number(one.missing),
                f"{one.with_gap:,} of {one.subjects:,}",
            )
            for one in found
        ],
    )


def _rejects(found: list[Reject]) -> Markup:
    if not found:
        return say("Nothing is in quarantine (volt_ops.rejects).")
    shown = found[:_ROWS_SHOWN]
    return table(
        "In quarantine (volt_ops.rejects): what could not be stored or read",
        ("what", "why", "rows", "since"),
        [(one.stream, one.reason, number(one.rows), wording.moment(one.since)) for one in shown],
        left=2,
        more=left_out(len(shown), len(found), "reason"),
    )


def _unknown(traffic: Traffic | None) -> Markup | None:
    if traffic is None:
        return None
    unknown = sum(month.unknown for month in traffic.months)
    texts = unknown + sum(month.inbound + month.outbound for month in traffic.months)
    if not unknown:
        return say(f"The direction of each of the {texts:,} texts is known.")
    return say(f"Nothing tells the direction of {unknown:,} of {texts:,} texts; they count as neither in nor out.")


def last_push(pushed: list[Pushed] | None) -> Markup:
    """What the last push did, by outcome."""
    title = "Last push to Volt"
    if pushed is None:
        return section("push", title, say(NOT_BUILT))
    if not pushed:
        return section(
            "push",
            title,
            say("No push is on record."),
        )
    shown = pushed[:_ROWS_SHOWN]
    when = wording.moment(max(row.pushed_at for row in pushed))
    rows = sum(row.rows for row in pushed)
    return section(
        "push",
        title,
        say(f"{plural(rows, 'row')}, the last one {when}."),
        table(
            "Rows of the last push by outcome",
            ("export", "action", "outcome", "why", "rows"),
            [(row.export, row.action, row.status, row.reason, number(row.rows)) for row in shown],
            left=4,
            more=left_out(len(shown), len(pushed), "kind of outcome", "kinds of outcome"),
        ),
    )
