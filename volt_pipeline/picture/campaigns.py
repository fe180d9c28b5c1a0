"""Sections on what is sent to many: campaigns, and the lists that they go to."""

from __future__ import annotations

from volt_pipeline.picture import wording
from volt_pipeline.picture.blocks import NOT_BUILT, left_out, say, section, table
from volt_pipeline.picture.charts import spark
from volt_pipeline.picture.figures import Lists, ListSize, Wave, Waves, WaveTotals
from volt_pipeline.picture.markup import Markup, Part, element, join
from volt_pipeline.picture.wording import TOO_FEW, UNKNOWN, number, plural, share, usd


def waves(found: Waves | None) -> Markup:
    """The newest waves to lists."""
    if found is None:
        return section("waves", "Waves", say(NOT_BUILT))
    single = plural(found.totals.single_texts, "wave")
    alone = f"{single} to a single contact {'is' if found.totals.single_texts == 1 else 'are'} not shown."
    if not found.totals.campaigns:
        return section("waves", "Waves", say("No campaign is known yet. ", alone if found.totals.single_texts else ""))
    rows: list[tuple[Part, ...]] = [(_wave_name(wave), *_wave_cells(wave), _held(wave)) for wave in found.shown]
    if found.totals.campaigns > 1:
        rows.append((f"All {plural(found.totals.campaigns, 'campaign')}", *_wave_cells(found.totals), ""))
    more = left_out(len(found.shown), found.totals.campaigns, "campaign")
    head = (
        *("wave", "delivered of settled", "pending"),
        *("replied", "opted out", "estimated cost", "held"),
    )
    return section(
        "waves",
        "Waves",
        say(
            "Delivery by Volt's own totals. Replies and opt-outs within 72 hours, credited to the last wave before; "
            "they are counted from the texts held here, so where less than 100 % is held they are too small."
        ),
        table("Campaigns, the newest first", head, rows, more=more, total=found.totals.campaigns > 1),
        say(alone, style="note") if found.totals.single_texts else None,
    )


def _wave_name(wave: Wave) -> Markup:
    return join(wording.name(wave.name), element("small", f"{wording.name(wave.account)}, {wording.day(wave.day)}"))


def _wave_cells(wave: Wave | WaveTotals) -> tuple[Part, ...]:
    known = wave.total_delivered is not None and wave.total_failed is not None
    settled = (wave.total_delivered or 0) + (wave.total_failed or 0) if known else None
    return (
        share(wave.total_delivered, settled),
        number(wave.total_pending),
        _counted(wave.repliers_72h, wave.delivered_loaded),
        _counted(wave.opt_outs, wave.delivered_loaded),
        usd(wave.usd),
    )


def _counted(people: int | None, delivered: int | None) -> Part:
    """How many, and below it their share of the delivered texts that are held."""
    if people is None or not delivered:
        return number(people)
    return join(number(people), element("small", share(people, delivered)))


def _held(wave: Wave) -> str:
    return UNKNOWN if wave.coverage is None else f"{100 * min(wave.coverage, 1):.0f} %"


def lists(found: Lists | None) -> Markup:
    """How lists grow."""
    if found is None:
        return section("lists", "Lists", say(NOT_BUILT))
    if not found.shown:
        return section("lists", "Lists", say("No size of a list was seen yet."))
    return section(
        "lists",
        "Lists",
        say("Sizes by Volt's own count, net: as many may have left as joined. What a list was before is unknown."),
        table(
            "Lists, those that changed most first",
            ("list", "size now", "in 30 days", "since first seen", "first seen", "last 60 days"),
            [_list_row(at, one) for at, one in enumerate(found.shown)],
            more=left_out(len(found.shown), found.count, "list"),
        ),
    )


def _list_row(at: int, one: ListSize) -> tuple[Part, ...]:
    label = f"{wording.name(one.name)}: from {number(one.sizes[0])} to {number(one.sizes[-1])}" if one.sizes else ""
    drawn = spark(f"list-{at}", label, one.days, one.sizes, 59) if len(one.sizes) > 1 else TOO_FEW
    return (
        join(wording.name(one.name), element("small", wording.name(one.account))),
        number(one.size),
        _grown(one.size, one.size_before),
        _grown(one.size, one.size_at_first) if len(one.sizes) > 1 or one.size_before is not None else UNKNOWN,
        wording.day(one.first_day),
        drawn,
    )


def _grown(size: int | None, before: int | None) -> str:
    return UNKNOWN if size is None or before is None else f"{size - before:+,}"
