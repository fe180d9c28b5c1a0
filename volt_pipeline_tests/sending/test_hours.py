"""Quiet hours: 8 to 21 o'clock wherever the number may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volt_pipeline.sending.hours import local_time, next_allowed, opens_at, zones_of

TULSA, BOISE_OR_COAST, EVERYWHERE, UNKNOWN, LONDON = (
    "+19185550123",
    "+12085550123",
    "+18005550123",
    "+15555550123",
    "+442071234567",
)
CHICAGO = ZoneInfo("America/Chicago")


def at(hour: int, minute: int = 0, day: int = 4, month: int = 3) -> datetime:
    """A moment in Chicago."""
    return datetime(2026, month, day, hour, minute, tzinfo=CHICAGO).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "opening"),
    [
        (at(7, 59), at(8)),
        (at(8), at(8)),
        (at(20, 59), at(20, 59)),
        (at(21), at(8, day=5)),
        (at(0), at(8)),
        (at(23, day=7), at(8, day=8)),  # the clocks go forward in between
        (at(23, day=31, month=10), at(8, day=1, month=11)),  # and back
    ],
)
def test_on_the_wall_clock_of_the_recipient(moment: datetime, opening: datetime) -> None:
    assert opens_at(moment, [TULSA], None) == opening


def test_every_zone_that_a_number_may_belong_to_must_agree() -> None:
    assert zones_of(BOISE_OR_COAST) == ("America/Boise", "America/Los_Angeles")
    eight_in_boise = datetime(2026, 3, 4, 15, tzinfo=UTC)
    assert opens_at(eight_in_boise, [BOISE_OR_COAST], None) == eight_in_boise + timedelta(hours=1)
    nine_at_the_coast = datetime(2026, 3, 5, 4, 30, tzinfo=UTC)
    assert opens_at(nine_at_the_coast, [BOISE_OR_COAST], None) == eight_in_boise + timedelta(hours=25)


def test_a_number_without_a_place_goes_by_its_account() -> None:
    assert opens_at(at(5), [UNKNOWN], "America/Chicago") == at(8)
    assert opens_at(at(5), [UNKNOWN], None) is None
    assert opens_at(at(5), [UNKNOWN], "Atlantis/Capital") is None
    assert opens_at(at(5), [], "America/Chicago") == at(8)
    assert opens_at(at(5), ["not a number"], "America/Chicago") == at(8)


def test_recipients_of_several_zones_are_texted_when_all_are_awake() -> None:
    assert opens_at(datetime(2026, 3, 4, 9, tzinfo=UTC), [TULSA, LONDON], None) == at(8)
    assert opens_at(datetime(2026, 3, 4, 22, tzinfo=UTC), [TULSA, LONDON], None) == at(8, day=5)
    around_the_world = [LONDON, "+61291234567", "+18085550123"]  # Sydney and Honolulu too: no such hour
    assert opens_at(at(12), around_the_world, None) is None


@given(st.integers(0, 2 * 365 * 24 * 60), st.sampled_from([TULSA, BOISE_OR_COAST, EVERYWHERE, LONDON]))
def test_what_is_allowed_is_allowed_everywhere(minute: int, phone: str) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    found = opens_at(moment, [phone], None)
    assert found is not None
    assert moment <= found < moment + timedelta(days=2)
    assert all(8 <= found.astimezone(ZoneInfo(zone)).hour < 21 for zone in zones_of(phone))
    assert next_allowed(found, zones_of(phone)) == found


def test_the_time_that_is_shown_is_theirs() -> None:
    assert local_time(at(9), LONDON, "America/Chicago") == "2026-03-04 15:00 Europe/London"
    assert local_time(at(9), BOISE_OR_COAST, None) == "2026-03-04 08:00 America/Boise (or 1 more zones)"
    assert local_time(at(9), None, "America/Chicago") == "2026-03-04 09:00 America/Chicago"
    assert local_time(at(9), UNKNOWN, None) == "2026-03-04 15:00 UTC"
