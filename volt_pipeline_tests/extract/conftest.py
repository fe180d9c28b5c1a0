"""One sandbox and one warehouse for the tests of the traps; each begins with a fresh world and nothing held."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline_tests.syncing import new_world
from volt_pipeline_tests.test_model import empty

pytest.register_assert_rewrite("volt_pipeline_tests.extract.trapping")

from volt_pipeline_tests.extract.trapping import Trap  # noqa: E402


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def trap_url(server_url: str, prepared_template: str) -> str:
    """One warehouse for all tests of the traps: to empty it takes a tenth of the time that a new one takes."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE traps TEMPLATE {prepared_template}".encode())
    return server_url.rsplit("/", 1)[0] + "/traps"


@pytest.fixture
def trap(server: Sandbox, trap_url: str) -> Iterator[Trap]:
    """A running server with a fresh small world and no faults, and an empty warehouse."""
    server.faults = Faults()
    empty(trap_url)
    made = Trap(server, trap_url)
    made.begin()
    yield made
    server.faults = Faults()
