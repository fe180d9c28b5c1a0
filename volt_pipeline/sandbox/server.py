"""The sandbox over HTTP: Volt's endpoint, and a few control routes that Volt has not.

`serve` blocks until it is told to stop, for the command line; `running` keeps a server in a thread, for tests. The
control routes let another process move the world, which is how a demo shows an incremental sync.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .access import TOKEN
from .endpoint import UNAUTHORIZED, GraphQLEndpoint, Recorded, Sandbox, answer, authorized, failed
from .faults import Faults
from .world import World

__all__ = ["TOKEN", "Recorded", "Sandbox", "running", "serve"]

Control = Callable[[World, dict[str, Any]], Any]
MOST_TICKS = 100_000


def serve(
    world: World,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    latency_ms: float = 0,
    tick_seconds: float = 0,
    max_root_fields: int | None = None,
    faults: Faults | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the world until SIGINT or SIGTERM, then return. `on_ready` is told the bound URL once.

    With `tick_seconds` the world moves by itself; `latency_ms` is waited before each answer; a document with more
    than `max_root_fields` fields at its root is refused. `faults` are those of faults.py, none by default.
    """
    sandbox = Sandbox(world, faults=faults or Faults())
    with _bound(sandbox, host, port) as bound:
        app = _app(sandbox, latency_ms, tick_seconds, max_root_fields)
        _Server(app, on_ready and partial(on_ready, sandbox.url)).run(sockets=[bound])


@contextmanager
def running(
    world: World,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    latency_ms: float = 0,
    tick_seconds: float = 0,
    max_root_fields: int | None = None,
    faults: Faults | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> Iterator[Sandbox]:
    """The same server in a background thread; it answers when the block begins and is gone when it ends.

    Its world, its record of requests and its faults (`sandbox.faults`, see faults.py) are what it yields.
    """
    sandbox = Sandbox(world, faults=faults or Faults())
    ready = threading.Event()
    with _bound(sandbox, host, port) as bound:
        server = _Server(_app(sandbox, latency_ms, tick_seconds, max_root_fields), ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="volt-sandbox", daemon=True)
        thread.start()
        try:
            while not ready.wait(0.05):
                if not thread.is_alive():
                    raise RuntimeError("the sandbox's server did not start")
            if on_ready is not None:
                on_ready(sandbox.url)
            yield sandbox
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _bound(sandbox: Sandbox, host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=512) as bound:
        shown = f"[{host}]" if ":" in host else host
        sandbox.url = f"http://{shown}:{bound.getsockname()[1]}/graphql"
        yield bound


class _Server(uvicorn.Server):
    def __init__(self, app: Starlette, on_ready: Callable[[], None] | None) -> None:
        super().__init__(
            uvicorn.Config(
                app, log_config=None, access_log=False, ws="none", lifespan="on", timeout_graceful_shutdown=2
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal and return to the caller; uvicorn would raise the signal once more at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.should_exit = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _app(sandbox: Sandbox, latency_ms: float, tick_seconds: float, max_root_fields: int | None) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(_tick_forever(sandbox, tick_seconds)) if tick_seconds else None
        yield
        if ticking is not None:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking

    controls: dict[str, Control] = {"move": _move, "tick": _tick, "settle": _settle}
    return Starlette(
        routes=[
            Route("/graphql", GraphQLEndpoint(sandbox, latency_ms, max_root_fields).respond, methods=["POST"]),
            Route("/healthz", _health),
            Route("/control/phones", _control(sandbox, _phones)),
            *(Route(f"/control/{name}", _control(sandbox, act), methods=["POST"]) for name, act in controls.items()),
        ],
        lifespan=lifespan,
    )


async def _tick_forever(sandbox: Sandbox, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        sandbox.world.tick(sandbox.world.clock())


async def _health(_request: Request) -> Response:
    return answer({"status": "ok"})


def _control(sandbox: Sandbox, act: Control) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        if not authorized(request):
            return answer(UNAUTHORIZED, 401)
        try:
            asked = orjson.loads(await request.body() or b"{}")
            return answer(act(sandbox.world, asked))
        except (ValueError, TypeError, AttributeError):
            return failed("Not a valid control request", "BAD_REQUEST", 400)

    return respond


def _phones(world: World, _asked: dict[str, Any]) -> list[str]:
    return [account.primary_phone for account in world.accounts]


def _move(world: World, asked: dict[str, Any]) -> dict[str, int]:
    share = float(asked.get("share", 0.01))
    if not 0 < share <= 1:
        raise ValueError("share must be above 0 and at most 1")
    return {"messages": len(world.move(share, world.clock()))}


def _tick(world: World, asked: dict[str, Any]) -> dict[str, int]:
    times = int(asked.get("times", 1))
    if not 0 < times <= MOST_TICKS:
        raise ValueError(f"times must be between 1 and {MOST_TICKS}")
    for _ in range(times):
        world.tick(world.clock())
    return {"ticks": times}


def _settle(world: World, _asked: dict[str, Any]) -> dict[str, int]:
    world.settle(world.clock())
    return {"pending": len(world.ledger.pending)}
