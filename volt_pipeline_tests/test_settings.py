"""What the environment says, and the sentences for what it should have said."""

from __future__ import annotations

from pathlib import Path

import pytest

from volt_pipeline import settings
from volt_pipeline.settings import SettingsError, WebhookSettings, load, phones

TOKEN = "eyJhbGciOiJSUzI1NiJ9.e30.c2VjcmV0"
REAL = {"VOLT_API_TOKEN": TOKEN, "VOLT_ACCOUNTS": "+15555554321"}
WAREHOUSE = "postgresql://loader:hunter2@db.example:5432/volt"


def test_the_sandbox_serves_when_nothing_points_to_a_real_volt_or_warehouse() -> None:
    found = load({})
    assert found.sandbox
    assert (found.api_token, found.accounts, found.warehouse_url) == ("", (), None)
    assert load({"VOLT_API_TOKEN": "  ", "VOLT_HOME": "/tmp/x", "VOLT_CONCURRENCY": "3"}).sandbox


@pytest.mark.parametrize(
    "given",
    [
        {"VOLT_API_URL": "https://volt.example/graphql"},
        {"VOLT_ACCOUNTS": "+15555554321"},
        {"WAREHOUSE_URL": WAREHOUSE},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_lost_token_is_an_error_and_never_the_sandbox(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"^VOLT_API_TOKEN is not set, although \w+ is: create one in Volt"):
        load(given)


def test_missing_accounts_are_named_with_the_remedy() -> None:
    with pytest.raises(SettingsError, match=r"^VOLT_ACCOUNTS is not set, although VOLT_API_TOKEN is: give the primary"):
        load({"VOLT_API_TOKEN": TOKEN})
    with pytest.raises(SettingsError, match=r"^VOLT_ACCOUNTS names no phone number"):
        load({**REAL, "VOLT_ACCOUNTS": " , ,"})


def test_a_real_volt_with_the_usual_address_and_the_embedded_warehouse() -> None:
    found = load(REAL)
    assert not found.sandbox
    assert found.api_url == settings.DEFAULT_API_URL
    assert found.api_token == TOKEN
    assert found.accounts == ("+15555554321",)
    assert found.warehouse_url is None


def test_the_demo_ignores_what_points_to_a_real_volt() -> None:
    found = load({**REAL, "WAREHOUSE_URL": WAREHOUSE}, demo=True)
    assert found.sandbox
    assert (found.api_token, found.accounts, found.warehouse_url) == ("", (), None)


def test_phones_are_put_into_one_form_in_order_and_once() -> None:
    assert phones(" +1 (555) 555-4321,+44 20 7946 0018 ,, +15555554321") == ("+15555554321", "+442079460018")


@pytest.mark.parametrize(
    "text", ["5555554321", "(555) 555-4321", "tulsa", "+1", "+15555554321;+15555554322", "+999123", "+1555555"]
)
def test_what_is_no_international_number_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^VOLT_ACCOUNTS holds .* write it like \+15555554321"):
        phones(f"+15555554322,{text}")


def test_the_setting_that_holds_a_bad_phone_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^--account holds '12'"):
        phones("12", "--account")


@pytest.mark.parametrize("token", [f"Bearer {TOKEN}", f"{TOKEN[:9]}\t{TOKEN[9:]}", f"“{TOKEN}”", f"{TOKEN}\x00"])
def test_a_token_that_was_copied_badly_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(SettingsError, match=r"^VOLT_API_TOKEN holds a space or a character") as caught:
        load({**REAL, "VOLT_API_TOKEN": token})
    assert TOKEN[:9] not in str(caught.value)


def test_secrets_are_in_no_repr() -> None:
    shown = repr(load({**REAL, "WAREHOUSE_URL": WAREHOUSE}))
    assert TOKEN not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("url", ["api.respondflow.com/graphql", "ftp://volt.example", "/graphql"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^VOLT_API_URL must begin with https://"):
        load({**REAL, "VOLT_API_URL": url})


def test_concurrency() -> None:
    assert load({}).concurrency == 32
    assert load({**REAL, "VOLT_CONCURRENCY": " 4 "}).concurrency == 4


@pytest.mark.parametrize("text", ["0", "-1", "four", "1.5", "²"])
def test_a_concurrency_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^VOLT_CONCURRENCY must be a whole number of at least 1"):
        load({**REAL, "VOLT_CONCURRENCY": text})


def test_the_home_is_absolute_and_known_without_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOLT_HOME", "")
    monkeypatch.setenv("VOLT_ACCOUNTS", "not looked at")
    assert settings.home() == tmp_path / ".volt"
    monkeypatch.setenv("VOLT_HOME", "elsewhere")
    assert settings.home() == tmp_path / "elsewhere"
    assert load({"VOLT_HOME": "/a/b"}).dagster_home == Path("/a/b/dagster")


def test_the_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    assert load().api_token == TOKEN


def test_sending_is_off_until_it_is_switched_on() -> None:
    assert (load({}).send_enabled, load(REAL).send_enabled) == (False, False)
    found = load({**REAL, "VOLT_SEND_ENABLED": "true", "VOLT_SEND_PER_RUN": "9", "VOLT_SEND_PER_RECIPIENT": "1"})
    assert (found.send_enabled, found.send_per_run, found.send_per_recipient) == (True, 9, 1)
    with pytest.raises(SettingsError, match=r"^VOLT_SEND_ENABLED "):
        load({**REAL, "VOLT_SEND_ENABLED": "maybe"})
    with pytest.raises(SettingsError, match=r"^VOLT_SEND_PER_RECIPIENT must be a whole number of at least 1"):
        load({**REAL, "VOLT_SEND_PER_RECIPIENT": "0"})


def test_the_receiver_needs_keys_and_a_warehouse_and_no_token() -> None:
    files = "/etc/volt/new.pem, /etc/volt/old.pem,"
    found = settings.load_receiver({"WAREHOUSE_URL": WAREHOUSE, "VOLT_WEBHOOK_PUBLIC_KEY_FILE": files})
    assert found.webhooks.key_files == (Path("/etc/volt/new.pem"), Path("/etc/volt/old.pem"))
    assert (found.warehouse_url, found.api_token) == (WAREHOUSE, "")
    assert settings.load_receiver({}).webhooks == WebhookSettings() == load({}).webhooks


def test_how_webhooks_are_verified_and_kept() -> None:
    found = load(
        {
            "VOLT_WEBHOOK_HASH": "SHA512",
            "VOLT_WEBHOOK_PADDING": "pss",
            "VOLT_WEBHOOK_ENCODING": "hex",
            "VOLT_WEBHOOK_TOLERANCE_SECONDS": "60",
            "VOLT_WEBHOOK_RATE": "50",
            "VOLT_WEBHOOK_RETENTION_DAYS": "7",
            "VOLT_WEBHOOK_ALLOW_PRIVATE": "True",
        }
    ).webhooks
    assert found == WebhookSettings((), "sha512", "pss", "hex", 60, 50, 7, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [("HASH", "md5"), ("PADDING", "none"), ("ENCODING", "raw"), ("ALLOW_PRIVATE", "yes"), ("TOLERANCE_SECONDS", "0")],
)
def test_a_way_of_verifying_that_there_is_not(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^VOLT_WEBHOOK_{name} must be .*{text}"):
        load({f"VOLT_WEBHOOK_{name}": text})


def test_a_fan_out_is_off_unless_it_is_asked_for() -> None:
    assert not load({}).fan_out
    assert not load({**REAL, "VOLT_FAN_OUT": "off"}).fan_out
    assert load({**REAL, "VOLT_FAN_OUT": "Accounts"}).fan_out
    with pytest.raises(SettingsError, match=r"^VOLT_FAN_OUT must be accounts or off \(it is 'all'\)"):
        load({**REAL, "VOLT_FAN_OUT": "all"})
