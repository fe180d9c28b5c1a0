"""Pages that go wrong: order, cursors, totals, and a world that moves while it is paged.

Pages are counted per walk, from 1 for the one asked without a cursor. A cursor handed out before any of these faults
was switched on is taken to lead to page 2.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any
from zlib import crc32

from .entities import bad_input
from .paging import Page, PageInfo, cursor_at, from_micros, micros, page, place_of

Place = str | tuple[str, str]  # an account's phone for its inbox, (account's phone, contact's phone) for a conversation
Entries = Sequence[tuple[datetime, str, Any]]


@dataclass
class PagingFaults:
    """The part of `Faults` about inbox and conversation pages."""

    oldest_first: bool = False
    """Each page lists its items oldest first, while pages still go back in time: the first item is not the newest."""

    shuffled: bool = False
    """Each page lists its items in no order: neither its first nor its last item tells how far back it reaches."""

    from_the_oldest: bool = False
    """Walks begin at the oldest item and go forward: stopping at the first known item would find nothing new."""

    in_no_order: bool = False
    """The whole walk is in an order that has nothing to do with time: news may stand on any page."""

    repeated_item: bool = False
    """Each page begins with the last item of the page before: counting items read exceeds the total."""

    empty_page: int | None = None
    """This page of every walk is empty although hasNextPage is true: an empty page is not the end. None is lost."""

    stuck_cursor: int | None = None
    """From this page (2 or later) nextPage is the cursor it was asked with, forever: a walk that would never end."""

    looping_cursors: tuple[int, int] | None = None
    """(3, 2): page 3's nextPage leads back to page 2, so cursors go A, B, A, B: each differs from the one before."""

    cursors_expire_after: int | None = None
    """Pages after this one are the error "Invalid cursor": a walk has to begin anew, or end honestly incomplete."""

    lost_cursor: int | None = None
    """On this page hasNextPage is true but nextPage is null: there is more, and no way to it."""

    hidden_next_page: int | None = None
    """On this page hasNextPage is false although nextPage leads on: a walk that believes it ends short of the total."""

    cursors_by_time: bool = False
    """Cursors name a time only: items that share the time of a page's last item and were to follow are skipped."""

    totals_off: dict[Place, int] = field(default_factory=dict)
    """totalItems is wrong by so much for an inbox (account's phone) or a conversation (account's, contact's phone).

    It never agrees with what can be read, however often it is read again.
    """

    before_page: Callable[[str, int], None] | None = None
    """Called with "inbox" or "conversation" and the page's number just before that page is made.

    The world may be moved here (it runs in the server's thread, which must not be asked anything meanwhile), so that
    conversations jump to the top between two pages.
    """

    _cursors: dict[tuple[Place, str], tuple[str | None, int]] = field(default_factory=dict, repr=False, compare=False)
    _pages: dict[tuple[Place, int], str] = field(default_factory=dict, repr=False, compare=False)

    def begin_page(self, root: str, place: Place, before: str | None) -> None:
        """To be called before anything of the page is looked up."""
        number = self._known(place, before)[1]
        if self.before_page is not None:
            self.before_page(root, number)
        if self.cursors_expire_after is not None and number > self.cursors_expire_after:
            raise bad_input("Invalid cursor")

    def turn(self, place: Place, entries: Entries, before: str | None, size: int) -> Page[Any]:
        """page() of paging.py, with the faults that are on."""
        real, number = self._known(place, before)
        entries = self._ordered(entries)
        if number == self.empty_page:
            again = base64.urlsafe_b64encode(f"{number}/{real}".encode()).decode()
            self._remember(place, again, real, number + 1)
            return Page([], PageInfo(self._total(place, entries), again, True))
        found = page(entries, real, size)
        items = list(found.items)
        if self.repeated_item and number > 1 and items:
            items[:0] = _just_newer(entries, items[0])
        if self.oldest_first:
            items.reverse()
        if self.shuffled:
            Random(f"{place}/{number}").shuffle(items)
        following = self._following(place, before, number, found.page_info)
        return Page(items, PageInfo(self._total(place, entries), *following))

    def _total(self, place: Place, entries: Entries) -> int:
        return max(0, len(entries) + self.totals_off.get(place, 0))

    def _ordered(self, entries: Entries) -> Entries:
        """Entries under other times, where the order is not to be that of time."""
        if self.from_the_oldest:
            entries = [(from_micros(-micros(at)), identity, item) for at, identity, item in entries]
        elif self.in_no_order:
            entries = [(from_micros(crc32(identity.encode())), identity, item) for _, identity, item in entries]
        else:
            return entries
        return sorted(entries, key=lambda entry: entry[:2])

    def _following(self, place: Place, before: str | None, number: int, info: PageInfo) -> tuple[str | None, bool]:
        """nextPage and hasNextPage."""
        if self.stuck_cursor is not None and number >= self.stuck_cursor and before is not None:
            return before, True
        if self.looping_cursors is not None and number == self.looping_cursors[0]:
            return self._pages.get((place, self.looping_cursors[1])), True
        if number == self.lost_cursor:
            return None, True
        cursor = info.next_page
        if cursor is not None and self.cursors_by_time:
            cursor = cursor_at(place_of(cursor)[0], "!")  # before every id there is
        if cursor is not None:
            self._remember(place, cursor, cursor, number + 1)
        return cursor, info.has_next_page and number != self.hidden_next_page

    def _known(self, place: Place, before: str | None) -> tuple[str | None, int]:
        """Where a cursor really leads, and which page of the walk that is."""
        return (None, 1) if before is None else self._cursors.get((place, before), (before, 2))

    def _remember(self, place: Place, cursor: str, real: str | None, number: int) -> None:
        self._cursors[place, cursor] = real, number
        self._pages[place, number] = cursor


def _just_newer(entries: Entries, item: Any) -> list[Any]:
    """The item that stands one place above, if there is one."""
    above = next(number for number, entry in enumerate(entries) if entry[2] is item) + 1
    return [entry[2] for entry in entries[above : above + 1]]
