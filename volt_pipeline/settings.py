"""Every setting, typed, from the environment: the one place that reads it.

With none of VOLT_API_URL, VOLT_API_TOKEN, VOLT_ACCOUNTS and WAREHOUSE_URL set, the sandbox (an invented Volt) and the
embedded Postgres serve. With any of them set, a missing token is an error: a lost secret must never load invented
rows into a real warehouse.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import phonenumbers

from volt_pipeline.errors import ExplainedError

DEFAULT_API_URL = "https://api.respondflow.com/graphql"
_INTERNATIONAL = re.compile(r"\+[\d ().-]+", re.ASCII)
_DECIDING = ("VOLT_API_URL", "VOLT_API_TOKEN", "VOLT_ACCOUNTS", "WAREHOUSE_URL")


class SettingsError(ExplainedError):
    """A setting is missing or wrong; the message names it and the remedy."""


@dataclass(frozen=True)
class Settings:
    """What the environment says. `sandbox` is true when nothing points to a real Volt or warehouse."""

    sandbox: bool
    home: Path
    api_url: str = DEFAULT_API_URL
    api_token: str = field(default="", repr=False)
    accounts: tuple[str, ...] = ()
    warehouse_url: str | None = field(default=None, repr=False)
    concurrency: int = 16
    push_max_share: float = 0.5
    push_max_shrink: float = 0.3

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"


def load(environ: Mapping[str, str] | None = None, *, demo: bool = False) -> Settings:
    """The settings in force. `demo` ignores what points to a real Volt or warehouse.

    Raises SettingsError when a setting is missing or malformed.
    """
    env = os.environ if environ is None else environ
    where = _home(env)
    shared: dict[str, Any] = {
        "concurrency": _number(env, "VOLT_CONCURRENCY", default=16),
        "push_max_share": _share(env, "VOLT_PUSH_MAX_SHARE", default=0.5),
        "push_max_shrink": _share(env, "VOLT_PUSH_MAX_SHRINK", default=0.3),
    }
    given = {name: env[name].strip() for name in _DECIDING if env.get(name, "").strip()}
    if demo or not given:
        return Settings(sandbox=True, home=where, **shared)
    for name, remedy in (
        ("VOLT_API_TOKEN", "create one in Volt under Settings, Developers"),
        ("VOLT_ACCOUNTS", "give the primary phones of the accounts to sync, separated by commas: +15555554321,…"),
    ):
        if name not in given:
            raise SettingsError(
                f"{name} is not set, although {' and '.join(given)} {'is' if len(given) == 1 else 'are'}: {remedy}. "
                f"(With none of {', '.join(_DECIDING)} set, the sandbox serves.)"
            )
    return Settings(
        sandbox=False,
        home=where,
        api_url=_http_url(given.get("VOLT_API_URL", DEFAULT_API_URL)),
        api_token=_token(given["VOLT_API_TOKEN"]),
        accounts=phones(given["VOLT_ACCOUNTS"]),
        warehouse_url=given.get("WAREHOUSE_URL"),
        **shared,
    )


def home() -> Path:
    """VOLT_HOME alone: what is needed before, or without, the rest."""
    return _home(os.environ)


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("VOLT_HOME", "").strip() or ".volt").absolute()


def phones(text: str, setting: str = "VOLT_ACCOUNTS") -> tuple[str, ...]:
    """Comma-separated phones in E.164, in order, without repetition. Raises SettingsError on a malformed one."""
    found: dict[str, None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            number = phonenumbers.parse(part) if _INTERNATIONAL.fullmatch(part) else None
        except phonenumbers.NumberParseException:
            number = None
        if number is None or not phonenumbers.is_possible_number(number):
            raise SettingsError(
                f"{setting} holds {part!r}, which is no phone number in international form; write it like +15555554321."
            )
        found[phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)] = None
    if not found:
        raise SettingsError(f"{setting} names no phone number; write them like +15555554321,+15555554322.")
    return tuple(found)


def _http_url(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise SettingsError(
            f"VOLT_API_URL must begin with https:// (it is {url!r}); the usual one is {DEFAULT_API_URL}."
        )
    return url


def _token(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(
            "VOLT_API_TOKEN holds a space or a character that no token has; copy it again, without quotes or 'Bearer'."
        )
    return token


def _number(env: Mapping[str, str], name: str, *, default: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"{name} must be a whole number of at least 1 (it is {text!r}).")
    return int(text)


def _share(env: Mapping[str, str], name: str, *, default: float) -> float:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"0?\.\d+|[01](\.0+)?", text, re.ASCII):
        raise SettingsError(f"{name} must be a share between 0 and 1, such as 0.5 (it is {text!r}).")
    return float(text)
