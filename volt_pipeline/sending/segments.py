"""How carriers count a text: the truth of dbt's macro segments.sql, for texts that are not sent yet.

GSM-7 holds 127 characters and, at the price of two, ten more; one character outside of it makes the text UTF-16.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("^{}\\[~]|€\f")


@dataclass(frozen=True, slots=True)
class Counted:
    """`encoding` is sms_gsm7, sms_utf16 or mms; `units` are counted in it, None of an MMS."""

    encoding: str
    units: int | None
    segments: int

    @property
    def channel(self) -> str:
        return "mms" if self.encoding == "mms" else "sms"


def count(body: str, media: int = 0) -> Counted:
    """The text with so many media, as the carrier bills it: a text with media is one MMS, an empty one one message."""
    if media:
        return Counted("mms", None, 1)
    if GSM7.union(EXTENSION).issuperset(body):
        units, alone, joined, name = sum(1 + (char in EXTENSION) for char in body), 160, 153, "sms_gsm7"
    else:
        units, alone, joined, name = len(body.encode("utf-16-le", "surrogatepass")) // 2, 70, 67, "sms_utf16"
    return Counted(name, units, 1 if units <= alone else math.ceil(units / joined))


def cost(counted: Counted, recipients: int, rates: dict[str, Decimal]) -> Decimal | None:
    """US dollars by the seed message_rates (channel → price of a segment or MMS); None where it names no price."""
    rate = rates.get(counted.channel)
    return None if rate is None else rate * counted.segments * recipients
