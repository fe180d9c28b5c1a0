"""Where a command works: the Volt it talks to and the warehouse it fills, both up and ready.

With nothing configured that is the sandbox and the embedded Postgres under VOLT_HOME; several commands share them,
and the last one stops them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

from volt_pipeline.errors import ExplainedError
from volt_pipeline.local_service import Facts, LocalService
from volt_pipeline.sandbox.access import TOKEN
from volt_pipeline.settings import Settings, SettingsError
from volt_pipeline.warehouse import postgres
from volt_pipeline.warehouse.embedded import EmbeddedPostgres

_START_SECONDS = 30.0
_TICK_SECONDS = 15.0
_prepared: set[str] = set()  # warehouses that this process brought up to date: a job's steps need not do it again


class SandboxError(ExplainedError):
    """The sandbox does not come up."""


@dataclass(frozen=True)
class Workplace:
    """Addresses that answer. `phones` are the primary phones of the accounts to work on."""

    settings: Settings
    api_url: str
    api_token: str = field(repr=False)
    warehouse_url: str = field(repr=False)
    phones: tuple[str, ...]


@contextmanager
def warehouse(settings: Settings) -> Iterator[str]:
    """The URL of the warehouse, up, migrated and with every table. Raises WarehouseError, EmbeddedPostgresError."""
    with ExitStack() as stack:
        url = settings.warehouse_url or stack.enter_context(EmbeddedPostgres(settings.home).running())
        if url not in _prepared:
            postgres.prepare(url)
            _prepared.add(url)
        yield url


@contextmanager
def workplace(settings: Settings, accounts: tuple[str, ...] = ()) -> Iterator[Workplace]:
    """Volt and the warehouse for these accounts (all configured ones when none is named).

    Raises SettingsError for an account that is not configured, and what `warehouse` raises.
    """
    with ExitStack() as stack:
        if settings.sandbox:
            api_url, token = stack.enter_context(sandbox(settings.home)), TOKEN
            configured = tuple(_ask(api_url, "/control/phones"))
        else:
            api_url, token, configured = settings.api_url, settings.api_token, settings.accounts
        for phone in accounts:
            if phone not in configured:
                raise SettingsError(f"{phone} is not among the accounts of VOLT_ACCOUNTS ({', '.join(configured)}).")
        url = stack.enter_context(warehouse(settings))
        yield Workplace(settings, api_url, token, url, accounts or configured)


@contextmanager
def local_servers(settings: Settings, *, meanwhile: Callable[[], object]) -> Iterator[None]:
    """The servers of this machine that the settings ask for, up for the block; `meanwhile` is done as they start.

    Raises what keeps one from starting, and what `meanwhile` raises.
    """
    with ExitStack() as stack:
        with ThreadPoolExecutor(1) as background:
            servers = [] if settings.warehouse_url else [EmbeddedPostgres(settings.home).running()]
            servers += [sandbox(settings.home)] if settings.sandbox else []
            starting = [background.submit(stack.enter_context, server) for server in servers]
            meanwhile()
            for each in starting:
                each.result()
        yield


@contextmanager
def sandbox(home: Path) -> Iterator[str]:
    """The URL of this home's sandbox; its world is kept in VOLT_HOME/sandbox between commands."""
    directory = home / "sandbox"
    service = LocalService(directory, start=lambda: _start(directory), alive=_alive, stop=_stop)
    with service as facts:
        yield facts["url"]


def _start(directory: Path) -> Facts:
    ready = directory / "ready"
    ready.unlink(missing_ok=True)
    command: list[str | Path] = [sys.executable, "-m", "volt_pipeline", "sandbox", "--port", "0"]
    command += ["--journal", directory / "world.jsonl", "--ready-file", ready, "--tick-seconds", str(_TICK_SECONDS)]
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=directory
        )
    deadline = time.monotonic() + _START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise SandboxError(f"The sandbox does not start; {directory / 'server.log'} tells why.")
        time.sleep(0.02)
    return {"url": ready.read_text(encoding="utf-8"), "pid": process.pid}


def _alive(facts: Facts) -> bool:
    try:
        with urllib.request.urlopen(facts["url"].replace("/graphql", "/healthz"), timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _stop(facts: Facts) -> None:
    if not _alive(facts):
        return
    os.kill(facts["pid"], signal.SIGTERM)
    deadline = time.monotonic() + 5
    while _alive(facts) and time.monotonic() < deadline:
        time.sleep(0.02)


def _ask(api_url: str, path: str, body: object = None) -> list[str]:
    """One of the sandbox's control routes."""
    request = urllib.request.Request(  # noqa: S310
        api_url.replace("/graphql", path),
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: list[str] = json.load(answer)
        return found
