"""Quiet hours: nobody is texted before 8 or from 21 o'clock on, on the recipient's own wall clock.

A phone number may belong to several zones (208 is Boise and Los Angeles): all of them must agree. Where the number
tells nothing, or so much that no hour of the day is left (+1 800 is everywhere), the account's zone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

OPENS, CLOSES = 8, 21
_LOOK_AHEAD = timedelta(hours=49)  # a day without common hours has none on the next day either


@lru_cache(maxsize=4096)
def zones_of(phone: str) -> tuple[str, ...]:
    """The IANA zones that a number may belong to; none where that is not known."""
    try:
        found = timezone.time_zones_for_number(phonenumbers.parse(phone, None))
    except phonenumbers.NumberParseException:
        return ()
    return tuple(name for name in found if known(name))


@lru_cache(maxsize=512)
def known(name: str) -> bool:
    """Whether this is a zone with a wall clock."""
    if name.startswith("Etc/"):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def next_allowed(moment: datetime, zones: Sequence[str]) -> datetime | None:
    """`moment` itself if all zones allow it, else the first one that all allow; None when there is none soon."""
    at = moment
    while at - moment < _LOOK_AHEAD:
        closed = [opening for name in zones if (opening := _opening(at, ZoneInfo(name))) is not None]
        if not closed:
            return at
        at = max(closed)
    return None


def _opening(at: datetime, zone: ZoneInfo) -> datetime | None:
    """When it is 8 o'clock there the next time; None while texts are allowed."""
    local = at.astimezone(zone)
    if OPENS <= local.hour < CLOSES:
        return None
    day = local.date() + timedelta(days=local.hour >= CLOSES)
    return datetime(day.year, day.month, day.day, OPENS, tzinfo=zone).astimezone(UTC)


def opens_at(moment: datetime, recipients: Sequence[str], account_zone: str | None) -> datetime | None:
    """When all recipients may be texted, `moment` at the earliest; without any, when the account's own people may.

    None when no common hour is found, or no zone is known at all.
    """
    at = moment
    for _ in range(50):
        before = at
        for zones in _zones(recipients, account_zone, at):
            allowed = next_allowed(at, zones) if zones else None
            if allowed is None:
                return None
            at = allowed
        if at == before:
            return at
    return None


def _zones(recipients: Sequence[str], account_zone: str | None, at: datetime) -> set[tuple[str, ...]]:
    own = (account_zone,) if account_zone and known(account_zone) else ()
    if not recipients:
        return {own}
    found = set()
    for phone in recipients:
        zones = zones_of(phone)
        found.add(zones if zones and next_allowed(at, zones) is not None else own)
    return found


def local_time(moment: datetime, phone: str | None, account_zone: str | None) -> str:
    """The wall clock of a recipient, or of the account: `2026-03-04 09:15 America/Denver`."""
    zones = zones_of(phone) if phone else ()
    name = zones[0] if zones else account_zone
    if not name or not known(name):
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    more = f" (or {len(zones) - 1} more zones)" if len(zones) > 1 else ""
    return f"{moment.astimezone(ZoneInfo(name)):%Y-%m-%d %H:%M} {name}{more}"
