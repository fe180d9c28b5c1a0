"""Phone numbers as Volt takes them: E.164, read the way people of the account's own country write them."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

from volt_pipeline.activate.rows import Refusal

_WRITTEN = re.compile(r"[+\d ().\-/]+", re.ASCII)


def normalised(written: str, account_phone: str) -> str:
    """The number in E.164; one without a country code is of the account's country. Raises Refusal."""
    region = _region(account_phone)
    try:
        if not _WRITTEN.fullmatch(written):
            raise Refusal("phone_number holds something else than a phone number")
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        raise Refusal(f"phone_number is no phone number, neither international nor of {region or 'a region'}") from None
    if not phonenumbers.is_possible_number(number) or number.extension:
        raise Refusal("phone_number has too few or too many digits to be one person's phone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=4096)
def account(written: str) -> str:
    """An account's phone in E.164, where it can be read as one; as written where not."""
    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        return written
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=4096)
def _region(account_phone: str) -> str | None:
    number = phonenumbers.parse(account_phone, None)
    regions = phonenumbers.region_codes_for_country_code(number.country_code or 0)
    return phonenumbers.region_code_for_number(number) or (regions[0] if regions else None)
