"""One sandbox for all tests of a module; each has a world, faults and a warehouse of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline_tests.syncing import new_world

pytest.register_assert_rewrite("volt_pipeline_tests.extract.trapping")

from volt_pipeline_tests.extract.trapping import Trap  # noqa: E402


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def trap(server: Sandbox, warehouse_url: str) -> Iterator[Trap]:
    """A running server with a fresh small world and no faults, and an empty warehouse."""
    server.faults = Faults()
    made = Trap(server, warehouse_url)
    made.begin()
    yield made
    server.faults = Faults()
