"""The command line as people and schedulers meet it: real processes and servers, exit codes, one clear sentence."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from volt_pipeline.door.console import INTERRUPTED
from volt_pipeline.sandbox.server import TOKEN, Sandbox, running
from volt_pipeline.sandbox.world import World

STRANGER = "+12025550143"  # a possible phone that no account of the sandbox has
WRONG_TOKEN = "not-the-token-of-this-volt"
PASSWORD = "a-password-nobody-may-see"


@dataclass(frozen=True)
class Command:
    """`volt-pipeline` in a directory and an environment of its own."""

    directory: Path
    settings: dict[str, str]

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "VOLT_HOME": str(self.directory / "home"), "COLUMNS": "200", **self.settings}

    def but(self, without: str = "", **settings: str) -> Command:
        merged = {**self.settings, **settings}
        return Command(self.directory, {name: value for name, value in merged.items() if name != without})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "volt_pipeline", *arguments],
            env=self.environment(),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Ended:
        with self.start(*arguments) as process:
            return Ended.of(process)


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> Ended:
        out, err = process.communicate(timeout=120)
        return cls(process.returncode, out, err)


@dataclass(frozen=True)
class Mistake:
    """A command that must fail, and what its one sentence must hold: the setting and the remedy."""

    arguments: tuple[str, ...]
    says: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    without: str = ""


SYNC = ("sync", "--raw")
MISTAKES = {
    "wrong token": Mistake(SYNC, ("VOLT_API_TOKEN", "Settings"), {"VOLT_API_TOKEN": WRONG_TOKEN}),
    "no token": Mistake(SYNC, ("VOLT_API_TOKEN is not set", "create one in Volt"), without="VOLT_API_TOKEN"),
    "garbled token": Mistake(
        SYNC, ("VOLT_API_TOKEN", "without quotes or 'Bearer'"), {"VOLT_API_TOKEN": f"Bearer {TOKEN}"}
    ),
    "no accounts": Mistake(SYNC, ("VOLT_ACCOUNTS is not set", "+15555554321"), without="VOLT_ACCOUNTS"),
    "unknown account": Mistake(SYNC, ("VOLT_ACCOUNTS", STRANGER, "primary phone"), {"VOLT_ACCOUNTS": STRANGER}),
    "malformed phone": Mistake(SYNC, ("VOLT_ACCOUNTS", "'555-01'", "+15555554321"), {"VOLT_ACCOUNTS": "555-01"}),
    "no address": Mistake(SYNC, ("VOLT_API_URL", "https://"), {"VOLT_API_URL": "api.example.com"}),
    "no Postgres": Mistake(
        SYNC, ("WAREHOUSE_URL", "127.0.0.1:9/w"), {"WAREHOUSE_URL": f"postgresql://me:{PASSWORD}@127.0.0.1:9/w"}
    ),
    "another database": Mistake(
        SYNC, ("WAREHOUSE_URL", "postgresql://"), {"WAREHOUSE_URL": f"mysql://me:{PASSWORD}@127.0.0.1/w"}
    ),
    "no URL": Mistake(SYNC, ("WAREHOUSE_URL", "postgresql://"), {"WAREHOUSE_URL": f"host=db password={PASSWORD}"}),
    "account not configured": Mistake((*SYNC, "--account", STRANGER), ("VOLT_ACCOUNTS", STRANGER)),
    "malformed --account": Mistake((*SYNC, "--account", "12"), ("'12'", "+15555554321")),
    "no such export": Mistake(("push", "people"), ("'people'", "contacts, lists")),
    "push before any sync": Mistake(("push",), ("volt_exports.export_contacts", "volt-pipeline sync")),
    "no Volt": Mistake(SYNC, ("VOLT_API_URL",), {"VOLT_API_URL": "http://127.0.0.1:9/graphql"}),
}


def new_world() -> World:
    world = World.create(seed=7, accounts=2, contacts=20, now=datetime.now(UTC))
    world.settle(world.clock())
    return world


@pytest.fixture(scope="module")
def volt() -> Iterator[Sandbox]:
    with running(new_world()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def slow_volt() -> Iterator[Sandbox]:
    """A Volt with the same accounts, behind a slow line."""
    with running(new_world(), latency_ms=150) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def new_database(server_url: str, prepared_template: str) -> Callable[[str], str]:
    """Makes a database with the pipeline's tables and gives its URL."""

    def create(name: str, template: str = prepared_template) -> str:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        return server_url.rsplit("/", 1)[0] + f"/{name}"

    return create


@pytest.fixture(scope="module")
def command(volt: Sandbox, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Command:
    """All settings right, and a sync done."""
    phones = ",".join(account.primary_phone for account in volt.world.accounts)
    settings = {
        "VOLT_API_URL": volt.url,
        "VOLT_API_TOKEN": TOKEN,
        "VOLT_ACCOUNTS": phones,
        "WAREHOUSE_URL": new_database("command_line"),
    }
    return Command(tmp_path_factory.mktemp("a command line"), settings)


@pytest.fixture(scope="module")
def synced(command: Command) -> Ended:
    return command.run("sync", "--raw")


@pytest.fixture(scope="module")
def mistaken(command: Command, synced: Ended) -> Iterator[dict[str, Future[Ended]]]:
    """All mistakes, made a few at a time: most of it is waiting, for a connection above all, which is tried first."""
    with ThreadPoolExecutor(3) as pool:
        yield {
            name: pool.submit(command.but(mistake.without, **mistake.settings).run, *mistake.arguments)
            for name, mistake in reversed(MISTAKES.items())
        }


def explained(ended: Ended, *says: str) -> None:
    """Exit code 1, one sentence on stderr that holds these words (beside word of waiting), and no secret anywhere."""
    assert ended.code == 1, ended
    assert "Traceback" not in ended.out + ended.err
    (line,) = [line for line in ended.err.splitlines() if not re.search(r"Asking again \(try \d+\)\.$", line)]
    assert line.startswith("Error: ")
    for words in says:
        assert words in line
    for secret in (TOKEN, WRONG_TOKEN, PASSWORD):
        assert secret not in ended.out + ended.err


def marks(ended: Ended) -> dict[str, str]:
    """What the doctor looked at, and whether it was well."""
    return {line[2:].split(":")[0]: line[0] for line in ended.out.splitlines()}


def count(url: str, statement: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def ended_in_the_end(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    with process:
        try:
            yield process
        finally:
            process.kill()


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that the process does."""
    deadline = time.monotonic() + 60
    while not true():
        assert process.poll() is None, Ended.of(process)
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_sync_tells_what_it_did(synced: Ended, volt: Sandbox, command: Command) -> None:
    assert synced.code == 0, synced
    expected = volt.world.expected_counts()
    assert re.search(r"^Sync succeeded: \d+ requests in [\d.]+ s$", synced.out, re.MULTILINE)
    (told,) = re.findall(r"^messages +[\d,]+ +([\d,]+) ", synced.out, re.MULTILINE)
    assert int(told.replace(",", "")) == expected["messages"]
    assert count(command.settings["WAREHOUSE_URL"], "SELECT count(*) FROM volt.messages") == expected["messages"]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained_in_one_sentence(name: str, mistaken: dict[str, Future[Ended]]) -> None:
    explained(mistaken[name].result(), *MISTAKES[name].says)


def test_a_role_without_rights(command: Command, server_url: str, new_database: Callable[..., str]) -> None:
    url = new_database("not_for_everyone", "template0")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE visitor LOGIN PASSWORD {}").format(PASSWORD))
    address = url.split("@", 1)[1]
    ended = command.but(WAREHOUSE_URL=f"postgresql://visitor:{PASSWORD}@{address}").run("sync", "--raw")
    explained(ended, "WAREHOUSE_URL", "GRANT CREATE ON DATABASE")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"WAREHOUSE_URL": f"mysql://me:{PASSWORD}@127.0.0.1/w"}, "WarehouseUnreachable"),
        ({"VOLT_API_TOKEN": WRONG_TOKEN}, "AuthError"),
    ],
    ids=["before the job", "in the job"],
)
def test_debug_shows_the_traceback_and_no_secret(command: Command, wrong: dict[str, str], error: str) -> None:
    ended = command.but(**wrong).run("--debug", "sync", "--raw")
    assert ended.code == 1
    assert error in ended.err
    assert re.search(r'File ".+\.py", line \d+', ended.err)
    for secret in (WRONG_TOKEN, PASSWORD):
        assert secret not in ended.out + ended.err


def test_the_status_shows_what_is_held(command: Command, synced: Ended, volt: Sandbox) -> None:
    ended = command.run("status")
    assert ended.code == 0, ended
    held = f"{volt.world.expected_counts()['messages']:,}"
    assert re.search(rf"^volt\.messages +{held}$", ended.out, re.MULTILINE)
    assert "succeeded" in ended.out


def test_the_doctor_finds_nothing(command: Command, volt: Sandbox) -> None:
    ended = command.run("doctor")
    assert ended.code == 0, ended
    assert marks(ended) == dict.fromkeys(("settings", "warehouse", "token", "volt", "schema"), "✓")
    assert all(account.primary_phone in ended.out for account in volt.world.accounts)


def test_the_doctor_goes_on_after_what_is_wrong(command: Command) -> None:
    url = f"postgresql://me:{PASSWORD}@127.0.0.1:9/w"
    ended = command.but(VOLT_API_TOKEN=WRONG_TOKEN, WAREHOUSE_URL=url).run("doctor")
    assert ended.code == 1
    assert marks(ended) == {"settings": "✓", "warehouse": "✗", "token": "✓", "volt": "✗"}
    assert "Traceback" not in ended.out + ended.err
    for secret in (WRONG_TOKEN, PASSWORD):
        assert secret not in ended.out + ended.err


def test_of_two_syncs_the_second_says_who_is_at_work(
    command: Command, slow_volt: Sandbox, new_database: Callable[[str], str]
) -> None:
    url = new_database("two_at_once")
    second = command.but(WAREHOUSE_URL=url)
    with ended_in_the_end(second.but(VOLT_API_URL=slow_volt.url).start("sync", "--raw")) as first:
        until(lambda: count(url, "SELECT count(*) FROM volt_ops.leases WHERE expires_at IS NOT NULL") > 0, first)
        with slow_volt.world.lock:  # the first one waits for an answer
            explained(second.run("sync", "--raw"), "Another sync is at work", f"(process {first.pid})", "Wait for it")
        ended = Ended.of(first)
        assert ended.code == 0, ended


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_sync_that_is_ended_in_the_middle_is_completed_by_the_next(
    number: signal.Signals, command: Command, slow_volt: Sandbox, new_database: Callable[[str], str]
) -> None:
    url = new_database(f"ended_by_{number.name}".lower())
    slow = command.but(VOLT_API_URL=slow_volt.url, WAREHOUSE_URL=url)
    with ended_in_the_end(slow.start("sync", "--raw")) as process:
        until(lambda: count(url, "SELECT count(*) FROM volt.inbox_items") > 0, process)
        process.send_signal(number)
        if number is signal.SIGKILL:
            process.wait()
        else:
            ended = Ended.of(process)
            assert (ended.code, ended.err.splitlines()[-1]) == (1, f"Error: {INTERRUPTED}")
            assert "Traceback" not in ended.out + ended.err
            assert count(url, "SELECT count(*) FROM volt_ops.leases WHERE expires_at IS NOT NULL") == 0
            assert count(url, "SELECT count(*) FROM volt_ops.runs WHERE outcome = 'failed'") == 1
    expected = slow_volt.world.expected_counts()
    assert count(url, "SELECT count(*) FROM volt.messages") < expected["messages"]  # it was in the middle
    ended = slow.run("sync", "--raw")
    assert ended.code == 0, ended
    for table in ("contacts", "messages", "waves", "lists", "conversations"):
        assert count(url, f"SELECT count(*) FROM volt.{table}") == expected[table], table
    assert count(url, "SELECT sum(abs(gap)) FROM volt_ops.coverage") == 0


def test_with_nothing_configured_the_sandbox_and_the_embedded_postgres_serve(tmp_path: Path) -> None:
    bare = Command(tmp_path, {})
    ended = bare.run("sync", "--raw")
    assert ended.code == 0, ended
    assert "Sync succeeded" in ended.out
    assert not _answers(_url_of(tmp_path))  # the last command stopped what it had started
    assert re.search(r"^accounts +[1-9]", ended.out, re.MULTILINE)


def _url_of(directory: Path) -> str:
    return (directory / "home" / "sandbox" / "ready").read_text()


def _answers(url: str) -> bool:
    port = int(re.findall(r":(\d+)/", url)[0])
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_a_port_that_is_taken(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        explained(command.run("sandbox", "--port", port), port, "--port")


def test_a_sandbox_with_a_journal_remembers(tmp_path: Path) -> None:
    command = Command(tmp_path, {})
    arguments = ("sandbox", "--port", "0", "--contacts", "5", "--tick-seconds", "0", "--journal", "world.jsonl")
    phones = {"primaryPhone": "+19185550100", "phoneNumber": "+19185559998"}
    seen = (
        "query ($primaryPhone: String!, $phoneNumber: String!) "
        "{ contact(primaryPhone: $primaryPhone, phoneNumber: $phoneNumber) { name } }"
    )
    with serving(command, *arguments) as url:
        made = ask(
            url,
            "mutation ($name: String!, $phoneNumber: String!, $primaryPhone: String!) { createOrUpdateContact("
            "name: $name, phoneNumber: $phoneNumber, accountPhone: $primaryPhone, customFields: [], blocked: false"
            ") { id name } }",
            name="Wile E.",
            **phones,
        )
        assert made["data"]["createOrUpdateContact"]["name"] == "Wile E."
    with serving(command, *arguments) as url:
        assert ask(url, seen, **phones) == {"data": {"contact": {"name": "Wile E."}}}
    other = command.run(*arguments, "--seed", "2")
    explained(other, "world.jsonl", "remove it to start afresh")


@contextmanager
def serving(command: Command, *arguments: str) -> Iterator[str]:
    """The sandbox's address, as it prints it; ended as a service manager ends it."""
    with ended_in_the_end(command.start(*arguments)) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready
        (url,) = re.findall(r"answers at (\S+/graphql)\.", process.stdout.readline())
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def ask(url: str, query: str, **variables: str) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return json.load(answer)
