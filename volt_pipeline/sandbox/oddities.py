"""Values worth trying in `Faults.patch`: what real systems have sent where a text, a time or a status was promised."""

from __future__ import annotations

from typing import Any

TEXTS: dict[str, str] = {
    "NUL": "before\x00after",
    "lone surrogate": "half an emoji \ud83d",
    "swapped surrogates": "\ude00\ud83d",
    "a megabyte": "x" * 1_000_000,
    "a megabyte of four-byte characters": "🧱" * 250_000,
    "controls": "\x01\x02\x1b[31m\x7f\x85",
    "line ends": "a\r\nb\nc\rd\u2028e\u2029f",
    "COPY's own signs": "\\N\t\\.\n\\",
    "right to left": "\u202eabc\u202c \ufeff",
    "empty": "",
}

TIMES: dict[str, str] = {
    "year 1": "0001-01-01T00:00:00.000000Z",
    "year 9999": "9999-12-31T23:59:59.999999Z",
    "year 1, east of Greenwich": "0001-01-01T00:00:00+14:00",  # the day before the first there is
    "year 9999, west of Greenwich": "9999-12-31T23:59:59-12:00",
    "no zone": "2025-03-04T15:30:00.000001",
    "a space, no zone": "2025-03-04 15:30:00",
    "nanoseconds": "2025-03-04T15:30:00.123456789Z",
    "an offset": "2025-03-04T10:30:00-05:00",
    "a date": "2025-03-04",
    "an epoch": "1741102200",
    "year 0": "0000-00-00 00:00:00",
    "leap second": "2016-12-31T23:59:60Z",
    "words": "yesterday",
    "empty": "",
}

STATUSES = ("queued", "undelivered", "DELIVERED", "read", "", "optedOut")

WRONG_KINDS: tuple[Any, ...] = (None, True, 7, 2**70, 1.5, "", [], ["x"], {}, {"x": [None]})
