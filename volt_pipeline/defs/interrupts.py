"""SIGINT (Ctrl-C, Dagster's "terminate") and SIGTERM, while asyncio is at work.

Dagster's handler raises wherever the signal happens to hit: within any task, which may be one that nobody looks at, or
within the loop itself. Here the work is called off as asyncio would, and the signal is given on when it has ended.
"""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run`. A first signal calls the work off: what was given to be written is written. Another ends it now.

    Afterwards the signal goes to whose it was before, who usually raises; if nobody does, KeyboardInterrupt is raised.
    """
    if threading.current_thread() is not threading.main_thread():  # no other is told of signals
        return asyncio.run(work)
    heard: list[signal.Signals] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        return asyncio.run(_heeding(work, heard))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])
            raise KeyboardInterrupt


async def _heeding(work: Coroutine[Any, Any, Result], heard: list[signal.Signals]) -> Result:
    working = asyncio.create_task(work)

    def call_off(number: signal.Signals) -> None:
        heard.append(number)
        for task in [working] if len(heard) == 1 else asyncio.all_tasks():
            task.cancel()

    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, call_off, number)
    return await working
