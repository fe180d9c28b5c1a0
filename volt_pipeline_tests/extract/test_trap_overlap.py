"""Two syncs at once, a zombie that wakes up, and a Postgres that dies in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from volt_pipeline.warehouse import postgres, postmaster
from volt_pipeline.warehouse.embedded import EmbeddedPostgres
from volt_pipeline_tests.extract.trapping import Trap
from volt_pipeline_tests.warehouse.ground import ground
from volt_pipeline_tests.warehouse.loading import ask, end_connections, versions

ZOMBIE = """
import asyncio, os, signal, sys
from volt_pipeline.api.client import VoltClient
from volt_pipeline.sync import first_cause, sync
volt_url, token, url, phone, stage = sys.argv[1:]
stopped = []
def observe(name, done, known):
    if name == stage and not stopped:
        stopped.append(name)
        os.kill(os.getpid(), signal.SIGSTOP)
async def work():
    async with VoltClient(volt_url, token) as volt:
        await sync(volt, url, [phone], run_id="zombie", observe=observe, workers=1)
try:
    asyncio.run(work())
    print("it went through")
except BaseException as error:
    print(type(first_cause(error)).__name__)
"""


@contextmanager
def asleep(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A sync in a process of its own, stopped in the middle."""
    with subprocess.Popen([sys.executable, "-c", ZOMBIE, *arguments], stdout=subprocess.PIPE, text=True) as zombie:
        try:
            _, status = os.waitpid(zombie.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            yield zombie
        finally:
            zombie.kill()


@pytest.mark.parametrize("stage", ["inbox pages", "conversations", "wave look-ups"])
async def test_a_zombie_that_wakes_up_commits_nothing(trap: Trap, stage: str) -> None:
    world = trap.begin(inbox_page=2, conversation_page=6)
    arguments = (trap.sandbox.url, trap.sandbox.token, trap.url, world.accounts[0].primary_phone, stage)
    with asleep(*arguments) as zombie:
        trap.ask("UPDATE volt_ops.leases SET expires_at = now() - interval '1 second'")  # two minutes pass
        world.hear(world.contacts[0], "Meanwhile")
        await trap.sync()
        before = versions(trap.url)
        zombie.send_signal(signal.SIGCONT)
        told, _ = zombie.communicate(timeout=30)
    assert told.strip() == "LeaseLost"
    assert versions(trap.url) == before
    trap.world.settle(trap.world.clock())
    await trap.heal(2)


async def test_every_connection_lost_at_every_stage_is_survived(trap: Trap) -> None:
    trap.begin(inbox_page=2, conversation_page=6)
    ended = 0

    def observe(_stage: str, _done: int, _known: int) -> None:
        nonlocal ended
        ended += end_connections(trap.url) if ended < 12 else 0

    await trap.sync(observe=observe)
    assert ended >= 8
    trap.assert_whole()


@pytest.fixture
def mortal() -> Iterator[EmbeddedPostgres]:
    """A Postgres of its own, to be killed."""
    with ground() as there:
        yield there.embedded()


def kill_hard(url: str) -> None:
    """The whole server, as a power failure would."""
    ((directory,),) = ask(url, "SHOW data_directory")
    children = [pid for (pid,) in ask(url, "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")]
    server = postmaster.find(Path(directory))
    assert server is not None
    for pid in (server.pid, *children):
        os.kill(pid, signal.SIGKILL)


async def test_a_postgres_that_is_killed_and_comes_back_is_survived(trap: Trap, mortal: EmbeddedPostgres) -> None:
    trap.begin(contacts=3, conversation_page=6)
    url = mortal.acquire()
    postgres.prepare(url)
    trap.url = url
    again: list[EmbeddedPostgres] = []

    def observe(stage: str, done: int, _known: int) -> None:
        if stage == "conversations" and done >= 1 and not again:
            kill_hard(url)
            again.append(EmbeddedPostgres(mortal.home, outside=mortal._outside))
            assert again[0].acquire() == url

    try:
        await trap.sync(observe=observe, workers=1)
        assert again
        trap.assert_whole()
    finally:
        for server in (*again, mortal):
            server.release()
