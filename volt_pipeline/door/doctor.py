"""`volt-pipeline doctor`: try everything a sync needs, one thing after the other, and say what to mend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from volt_pipeline import settings as environment
from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.drift import Difference, drift
from volt_pipeline.api.errors import ContractError
from volt_pipeline.api.tokens import expires_at
from volt_pipeline.door.console import out, say
from volt_pipeline.errors import ExplainedError
from volt_pipeline.extract.inbox import first_page
from volt_pipeline.settings import Settings, SettingsError
from volt_pipeline.warehouse.postgres import described, lacking_access
from volt_pipeline.workplace import Workplace, warehouse, workplace

_WARN_BEFORE = timedelta(weeks=3)
Found = TypeVar("Found")


class SchemaDrift(ExplainedError):
    """Volt's live schema lacks something that an operation needs."""


def examine() -> bool:
    """Run all checks; gives whether a sync would work."""
    settings = _check("settings", environment.load, _describe)
    if settings is None:
        return False
    well = _check("warehouse", lambda: _try_warehouse(settings), str) is not None
    if not settings.sandbox:
        well = _check("token", lambda: _try_token(settings), str) is not None and well
    if _check("volt", lambda: _try_volt(settings), str) is None:
        return False
    return _check("schema", lambda: _try_schema(settings), str) is not None and well


def _check(name: str, attempt: Callable[[], Found], describe: Callable[[Found], str]) -> Found | None:
    """Try one thing and tell the outcome; None when it failed."""
    try:
        found = attempt()
    except ExplainedError as error:
        out.print(f"[red]✗[/red] {name}: ", end="")
        say(str(error))
        return None
    out.print(f"[green]✓[/green] {name}: ", end="")
    say(describe(found))
    return found


def _describe(settings: Settings) -> str:
    volt = "the sandbox, an invented Volt (no VOLT_… setting is set)" if settings.sandbox else settings.api_url
    where = "WAREHOUSE_URL" if settings.warehouse_url else f"an embedded Postgres under {settings.home}"
    return f"Volt is {volt}; the warehouse is {where}"


def _try_warehouse(settings: Settings) -> str:
    with warehouse(settings) as url:
        told = f"{described(url)} answers; its tables are up to date"
        if statements := lacking_access(url):
            told += ". The roles of docs/privacy.md need an administrator, once (all else works without):\n    "
        return told + "\n    ".join(statements)


def _try_token(settings: Settings) -> str:
    dies = expires_at(settings.api_token)
    if dies is None:
        return "it does not say when it expires"
    if dies < datetime.now(UTC):
        raise SettingsError(
            f"VOLT_API_TOKEN expired on {dies:%Y-%m-%d}; create a new one in Volt (Settings, Developers)."
        )
    soon = ": create a new one soon" if dies - datetime.now(UTC) < _WARN_BEFORE else ""
    return f"it expires on {dies:%Y-%m-%d}{soon}"


def _try_volt(settings: Settings) -> str:
    async def ask(volt: VoltClient, phones: Sequence[str]) -> list[str]:
        found = [await first_page(volt, phone) for phone in phones]
        return [account.phone for account, _ in found]

    read = _asked(settings, ask)
    return f"{len(read)} accounts can be read: {', '.join(read)}"


def _try_schema(settings: Settings) -> str:
    async def ask(volt: VoltClient, _phones: Sequence[str]) -> list[Difference]:
        return await drift(volt)

    try:
        found = _asked(settings, ask)
    except ContractError as error:
        return f"not compared: {error}"
    if any(difference.needed for difference in found):
        raise SchemaDrift("Volt's schema is not what the pipeline needs: " + " ".join(map(str, found)))
    return "\n  ".join(["it has more than was known:", *map(str, found)]) if found else "as it was when this was built"


def _asked(settings: Settings, ask: Callable[[VoltClient, Sequence[str]], Coroutine[Any, Any, Found]]) -> Found:
    async def connected(place: Workplace) -> Found:
        async with VoltClient(place.api_url, place.api_token, concurrency=place.settings.concurrency) as volt:
            return await ask(volt, place.phones)

    with workplace(settings) as place:
        return asyncio.run(connected(place))
