"""What a person sees and decides at the outbox: sentences, tables without people in them, exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from volt_pipeline.door import console, send_desk
from volt_pipeline.door.send_desk import OutboxRefuses
from volt_pipeline.door.send_preview import show_preview
from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.settings import Settings, SettingsError
from volt_pipeline_tests.sendings import Hands, at_noon, course, intend, known, sent, stands, texted
from volt_pipeline_tests.warehouse.loading import ask

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "'click", DeprecationWarning)  # what typer still uses of click's
    from typer.testing import CliRunner

    from volt_pipeline.door.send_commands import app

SECRET = "The code of the safe is 4711"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(at_noon(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def sandbox(server: Sandbox, clock: Hands, warehouse_url: str) -> Sandbox:
    server.world, server.faults = clock.rule(at_noon()), Faults()
    known(warehouse_url, server.world)
    return server


@pytest.fixture
def desk(warehouse_url: str, tmp_path: Path) -> Settings:
    return Settings(sandbox=False, home=tmp_path, warehouse_url=warehouse_url)


async def in_doubt(sandbox: Sandbox, url: str, clock: Hands) -> int:
    """An intent that needs a person."""
    one = intend(url, texted(sandbox.world)[0], body=SECRET)
    sandbox.faults.disturb(disturbances.http_error(500), when=lambda asked: asked.is_mutation, times=1)
    await sent(sandbox, url, clock)
    clock.pass_(minutes=15)
    await sent(sandbox, url, clock)
    return one


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


async def test_a_doubt_is_told_and_decided(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, desk: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    one = await in_doubt(sandbox, warehouse_url, clock)
    assert not send_desk.show_list(desk, 50)
    assert f"volt-pipeline send resolve {one}" in capsys.readouterr().out
    assert not send_desk.resolve(desk, one, decision="", why="")
    told = plain(capsys.readouterr().out)
    assert f"Known: intent {one} (message from " in told
    assert "was attempted once, last at 2026-03-04 19:00:00 UTC; then: no clear answer: Volt is in trouble" in told
    assert "Found since: no text in the conversation can be it, at the last look." in told
    assert "Not known: whether Volt has sent it all the same" in told
    assert stands(warehouse_url, one)[0] == "needs_person"
    assert send_desk.resolve(desk, one, decision="retry", why="looked at Volt")
    who = send_desk.whoami()
    assert stands(warehouse_url, one) == ("queued", f"retry by {who}")
    await sent(sandbox, warehouse_url, clock)
    assert course(warehouse_url, one)[-3:] == ["queued", "attempting", "accepted"]
    events = "SELECT decided_by, decided_why, actor FROM volt_ops.outbox_events WHERE decided_by IS NOT NULL"
    assert ask(warehouse_url, events) == [(who, "looked at Volt", who)]


async def test_a_doubt_may_be_abandoned_for_good(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, desk: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    one = await in_doubt(sandbox, warehouse_url, clock)
    assert send_desk.resolve(desk, one, decision="abandon", why="")
    await sent(sandbox, warehouse_url, clock)
    assert stands(warehouse_url, one)[0] == "cancelled"
    for decision in ("", "retry", "abandon"):
        with pytest.raises(OutboxRefuses, match=f"Intent {one} is cancelled, and needs no person"):
            send_desk.resolve(desk, one, decision=decision, why="")
    with pytest.raises(OutboxRefuses, match="There is no intent 4711"):
        send_desk.resolve(desk, 4711, decision="retry", why="")


async def test_what_is_still_being_looked_for_is_not_a_persons_yet(
    sandbox: Sandbox, warehouse_url: str, clock: Hands, desk: Settings
) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    sandbox.faults.disturb(disturbances.http_error(500), when=lambda asked: asked.is_mutation)
    await sent(sandbox, warehouse_url, clock)
    with pytest.raises(OutboxRefuses, match="is unknown, and needs no person: it is being looked for, next at 2026"):
        send_desk.resolve(desk, one, decision="retry", why="")
    with pytest.raises(OutboxRefuses, match="cannot be cancelled: it is unknown"):
        send_desk.cancel(desk, one)


def test_what_waits_can_be_taken_back(sandbox: Sandbox, warehouse_url: str, desk: Settings) -> None:
    one = intend(warehouse_url, texted(sandbox.world)[0])
    assert send_desk.cancel(desk, one)
    assert stands(warehouse_url, one) == ("cancelled", f"cancelled by {send_desk.whoami()}")
    with pytest.raises(OutboxRefuses, match="there is none"):
        send_desk.cancel(desk, 4711)


def test_the_kill_switch(sandbox: Sandbox, warehouse_url: str, desk: Settings) -> None:
    asked = "SELECT engaged, reason, changed_by FROM volt_ops.controls"
    send_desk.switch(desk, True, "the wrong list")
    assert ask(warehouse_url, asked) == [(True, "the wrong list", send_desk.whoami())]
    ask(warehouse_url, "DELETE FROM volt_ops.controls")
    send_desk.switch(desk, False, "")
    assert ask(warehouse_url, asked) == [(False, "", send_desk.whoami())]


def test_a_preview_shows_the_cost_and_nobody(
    sandbox: Sandbox,
    warehouse_url: str,
    desk: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "out", Console(width=250, highlight=False, soft_wrap=True))
    ann = next(each for each in texted(sandbox.world) if each.phone_number.startswith("+1918"))
    intend(warehouse_url, ann, body=SECRET * 10, intent_key=f"for-{ann.phone_number}")
    intend(warehouse_url, ann, body="🧱", media=["https://example.com/a.png"])
    me = ann.account.primary_phone
    wave = {"kind": "wave", "account_phone": me, "list_names": ["All"], "wave_name": "Spring", "intent_key": "spring"}
    intend(warehouse_url, **wave, body="Bricks", scheduled_at=datetime(2026, 3, 5, 15, 30, tzinfo=UTC))
    ask(warehouse_url, "INSERT INTO volt_staging.account_zones VALUES (%s, 'America/Chicago')", me)
    ask(
        warehouse_url,
        "INSERT INTO volt_ops.wave_approvals (intent_key, approved_by, approved_size) VALUES ('spring', 'a', 40)",
    )
    assert show_preview(desk, 50)
    assert send_desk.show_list(desk, 50)
    told = plain(capsys.readouterr().out)
    assert f"message …{ann.phone_number[-2:]} text 2 gsm7 " in told
    assert "0.0200 queued" in told
    assert f"message …{ann.phone_number[-2:]} text 1 mms " in told
    assert "wave 1 lists scheduled, up to 40 1 gsm7 2026-03-05 09:30 America/Chicago 0.4000 queued" in told
    assert "3 intents; the cost of all, waves at their approved size, is about 0.4500 USD." in told
    assert "safe" not in told
    assert ann.phone_number[4:] not in told


def test_an_empty_outbox(warehouse_url: str, desk: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert send_desk.show_list(desk, 50)
    assert show_preview(desk, 50)
    assert capsys.readouterr().out == "Nothing is waiting in the outbox.\n" * 2


def test_the_command(tmp_path: Path, warehouse_url: str) -> None:
    """Real processes: off until switched on, and then really sending."""
    with running(at_noon(contacts=3, now=datetime.now(UTC))) as sandbox:
        known(warehouse_url, sandbox.world)
        me = sandbox.world.accounts[0].primary_phone
        due = datetime.now(UTC) + timedelta(days=60)  # a draft is made at any hour
        wave = {"kind": "wave", "account_phone": me, "list_names": ["All"], "wave_name": "Spring"}
        intend(warehouse_url, **wave, body=SECRET, scheduled_at=due, expires_at=due)
        environment = {
            "VOLT_HOME": str(tmp_path),
            "VOLT_API_URL": sandbox.url,
            "VOLT_API_TOKEN": sandbox.token,
            "VOLT_ACCOUNTS": me,
            "WAREHOUSE_URL": warehouse_url,
            "COLUMNS": "200",
        }
        for enabled in (False, True):
            switched = {**environment, "VOLT_SEND_ENABLED": "true"} if enabled else environment
            command = [sys.executable, "-m", "volt_pipeline", "send"]
            done = subprocess.run(command, env=switched, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert ("Sending is off: VOLT_SEND_ENABLED is not true." in done.stdout) != enabled
            assert ask(warehouse_url, "SELECT state FROM volt_ops.outbox") == [("accepted" if enabled else "queued",)]
            assert len(sandbox.world.effects) == enabled
            assert "safe" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resolve", "1", "--retry", "--abandon"], "--retry and --abandon exclude each other"),
        (["kill-switch", "maybe"], "The kill switch is on or off, not 'maybe'"),
    ],
)
def test_a_command_that_makes_no_sense(arguments: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
