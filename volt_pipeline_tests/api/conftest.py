"""A scripted server, and clients of it that never really wait."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from volt_pipeline.api.client import VoltClient

from .scripted import TOKEN, Hands, ScriptedVolt, serving


@pytest.fixture
async def volt() -> AsyncIterator[ScriptedVolt]:
    async with serving() as scripted:
        yield scripted


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def client(volt: ScriptedVolt, hands: Hands) -> AsyncIterator[VoltClient]:
    async with VoltClient(volt.url, TOKEN, clock=hands.clock, concurrency=4) as opened:
        yield opened
