"""`volt-pipeline webhooks …` as people and service managers meet it: real processes, one clear sentence."""

from __future__ import annotations

import re
import select
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from volt_pipeline.sandbox.courier import delivering
from volt_pipeline.sandbox.server import running
from volt_pipeline.sandbox.signing import Signer
from volt_pipeline_tests.syncing import new_world
from volt_pipeline_tests.test_cli import Command, ended_in_the_end, explained
from volt_pipeline_tests.warehouse.loading import ask


@pytest.fixture
def keys(tmp_path: Path) -> Signer:
    return Signer.kept_in(tmp_path / "keys")


@pytest.fixture
def command(tmp_path: Path, warehouse_url: str, keys: Signer) -> Command:
    settings = {"WAREHOUSE_URL": warehouse_url, "VOLT_WEBHOOK_PUBLIC_KEY_FILE": str(keys.public_file)}
    return Command(tmp_path, settings)


@contextmanager
def serving(command: Command) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The receiver as a process of its own: its address, as it prints it."""
    with ended_in_the_end(command.start("webhooks", "serve", "--port", "0")) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready
        (url,) = re.findall(r"^Receiving events at (\S+/volt), verified by [0-9a-f]{16}\.$", process.stdout.readline())
        yield process, url


def send(url: str, signer: Signer, body: bytes) -> int:
    """The status of the answer to a signed event."""
    headers = signer.headers(body, "msg_1", datetime.now(UTC))
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return int(answer.status)


def test_from_a_registration_to_an_event_and_to_the_end(command: Command, keys: Signer, warehouse_url: str) -> None:
    world = new_world(accounts=1, contacts=3)
    with (
        running(world) as volt,
        delivering(world, keys, signs_tests=False) as courier,
        serving(command) as (process, url),
    ):
        asking = command.but(
            VOLT_API_URL=volt.url,
            VOLT_API_TOKEN=volt.token,
            VOLT_ACCOUNTS=world.accounts[0].primary_phone,
        )
        explained(asking.run("webhooks", "register", url), "plain http", "VOLT_WEBHOOK_ALLOW_PRIVATE")
        allowed = asking.but(VOLT_WEBHOOK_ALLOW_PRIVATE="true")
        done = allowed.run("webhooks", "register", url)
        assert done.code == 0, done
        (webhook,) = world.webhooks
        assert f"{url} is registered now, as webhook {webhook.id}." in done.out
        assert re.search(rf"^{webhook.id} +{re.escape(url)} ", allowed.run("webhooks", "list").out, re.MULTILINE)
        world.hear(world.contacts[0], "a text that no log may hold")
        courier.wait()
        assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.webhook_events") == [(1,)]
        shown = asking.run("status")
        assert re.search(r"^events in 7 days +1 *$", shown.out, re.MULTILINE), shown
        gone = asking.run("webhooks", "delete", webhook.id)
        assert (gone.code, world.webhooks) == (0, [])
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_receiver_holds_no_token(command: Command, keys: Signer) -> None:
    """It starts without one, although a warehouse is named; Volt's accounts are none of its business either."""
    assert "VOLT_API_TOKEN" not in command.environment()
    with serving(command) as (_, url):
        assert send(url, keys, b"{}") == 200


def test_without_a_key_nothing_is_opened(command: Command, tmp_path: Path) -> None:
    closed = command.but(WAREHOUSE_URL="postgresql://me:hunter2@127.0.0.1:9/w")
    ended = closed.but(without="VOLT_WEBHOOK_PUBLIC_KEY_FILE").run("webhooks", "serve")
    explained(ended, "VOLT_WEBHOOK_PUBLIC_KEY_FILE is not set")
    explained(
        closed.but(VOLT_WEBHOOK_PUBLIC_KEY_FILE="none.pem").run("webhooks", "serve"), "none.pem", "cannot be read"
    )
    explained(closed.run("webhooks", "serve"), "127.0.0.1:9/w cannot be reached")


def test_a_port_that_is_taken(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        explained(command.run("webhooks", "serve", "--port", port), port, "--port")


def test_the_sandbox_makes_keys_and_names_them(tmp_path: Path) -> None:
    command = Command(tmp_path, {})
    arguments = ("sandbox", "--port", "0", "--contacts", "3", "--webhook-keys", "keys")
    with ended_in_the_end(command.start(*arguments, "--webhook-scheme", "ed25519")) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        (file,) = re.findall(r"^export VOLT_WEBHOOK_PUBLIC_KEY_FILE=(\S+)", "".join(lines), re.MULTILINE)
        assert Path(file) == (tmp_path / "keys" / "webhook-ed25519.pub.pem")
        assert Path(file).read_bytes() == Signer.kept_in(tmp_path / "keys", "ed25519").public()
    explained(command.run(*arguments, "--webhook-scheme", "hmac"), "'hmac'", "rsa or ed25519")
