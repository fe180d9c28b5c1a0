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
class WebhookSettings:
    """How events are received, verified and kept. What may be in hash, padding and encoding: webhooks/signature.py."""

    key_files: tuple[Path, ...] = ()
    hash_name: str = "sha256"
    padding_name: str = "pkcs1v15"
    encoding: str = "base64"
    tolerance: int = 300  # seconds
    rate: int = 1_000  # requests a second
    retention_days: int = 30
    allow_private: bool = False


@dataclass(frozen=True)
class Settings:
    """What the environment says. `sandbox` is true when nothing points to a real Volt or warehouse."""

    sandbox: bool
    home: Path
    api_url: str = DEFAULT_API_URL
    api_token: str = field(default="", repr=False)
    accounts: tuple[str, ...] = ()
    warehouse_url: str | None = field(default=None, repr=False)
    concurrency: int = 32
    fan_out: bool = False  # sync_schedule starts a run for each account
    push_max_share: float = 0.5
    push_max_shrink: float = 0.3
    send_enabled: bool = False
    send_per_run: int = 500  # attempts
    send_per_recipient: int = 3  # texts in 24 hours
    webhooks: WebhookSettings = WebhookSettings()

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
        "concurrency": _number(env, "VOLT_CONCURRENCY", default=32),
        "fan_out": _one_of(env, "VOLT_FAN_OUT", "off", "accounts") == "accounts",
        "push_max_share": _share(env, "VOLT_PUSH_MAX_SHARE", default=0.5),
        "push_max_shrink": _share(env, "VOLT_PUSH_MAX_SHRINK", default=0.3),
        "send_enabled": _one_of(env, "VOLT_SEND_ENABLED", "false", "true") == "true",
        "send_per_run": _number(env, "VOLT_SEND_PER_RUN", default=500),
        "send_per_recipient": _number(env, "VOLT_SEND_PER_RECIPIENT", default=3),
        "webhooks": _webhooks(env),
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


def load_receiver(environ: Mapping[str, str] | None = None) -> Settings:
    """What the process that receives webhooks needs: keys and a warehouse. It is given no token, and misses none.

    Raises SettingsError when a setting is malformed.
    """
    env = os.environ if environ is None else environ
    url = env.get("WAREHOUSE_URL", "").strip() or None
    return Settings(sandbox=False, home=_home(env), warehouse_url=url, webhooks=_webhooks(env))


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


def _webhooks(env: Mapping[str, str]) -> WebhookSettings:
    files = env.get("VOLT_WEBHOOK_PUBLIC_KEY_FILE", "").split(",")
    return WebhookSettings(
        key_files=tuple(Path(file.strip()) for file in files if file.strip()),
        hash_name=_one_of(env, "VOLT_WEBHOOK_HASH", "sha256", "sha384", "sha512", "sha1"),
        padding_name=_one_of(env, "VOLT_WEBHOOK_PADDING", "pkcs1v15", "pss"),
        encoding=_one_of(env, "VOLT_WEBHOOK_ENCODING", "base64", "base64url", "hex"),
        tolerance=_number(env, "VOLT_WEBHOOK_TOLERANCE_SECONDS", default=300),
        rate=_number(env, "VOLT_WEBHOOK_RATE", default=1_000),
        retention_days=_number(env, "VOLT_WEBHOOK_RETENTION_DAYS", default=30),
        allow_private=_one_of(env, "VOLT_WEBHOOK_ALLOW_PRIVATE", "false", "true") == "true",
    )


def _one_of(env: Mapping[str, str], name: str, default: str, *others: str) -> str:
    text = env.get(name, "").strip().lower() or default
    if text not in (default, *others):
        raise SettingsError(
            f"{name} must be {', '.join(others)} or {default} (it is {text!r}); unset, it is {default}."
        )
    return text
