"""Who may write an account: a lease with an epoch, proved inside each transaction of a sync.

A lease is taken when it is free, expired, or its holder's database connection is gone (a killed run), and taking it
raises the epoch; a zombie that wakes up later finds its epoch gone and can commit nothing.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from volt_pipeline.warehouse.errors import LeaseHeld, LeaseLost
from volt_pipeline.warehouse.queries import query


def _whoami() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in many containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (process {os.getpid()})"


@dataclass
class Leases:
    """The leases of one run over its accounts, all or none. `seconds`: how long one lives without a heartbeat.

    `work` is what such a run is called. One that may go on beside a sync leases something else than accounts.
    """

    phones: Sequence[str]
    run_id: str
    seconds: float = 120.0
    work: str = "sync"
    epochs: dict[str, int] = field(default_factory=dict)

    @property
    def held(self) -> Mapping[str, Any]:
        return {"phones": list(self.epochs), "epochs": list(self.epochs.values())}

    async def take(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        """Take all leases. Raises LeaseHeld, naming the holder, when another live run has one."""
        phones = sorted(self.phones)
        await cursor.execute(
            "INSERT INTO volt_ops.leases (account_phone) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING",
            [phones],
        )
        await cursor.execute(
            query("take_leases"),
            {"phones": phones, "holder": _whoami(), "run_id": self.run_id, "seconds": self.seconds},
        )
        self.epochs = dict(await cursor.fetchall())
        if len(self.epochs) < len(phones):
            await cursor.execute(query("lease_holders"), {"phones": sorted(set(phones) - set(self.epochs))})
            holders = [
                f"{phone} by {holder} since {since:%Y-%m-%d %H:%M:%S} UTC"
                for phone, holder, since in await cursor.fetchall()
            ]
            self.epochs = {}
            raise LeaseHeld(
                f"Another {self.work} is at work: {'; '.join(holders)}. Wait for it to end; nothing was written by "
                "this one."
            )

    async def prove(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        """First statement of each transaction. Raises LeaseLost when another run has taken over."""
        if not self.epochs:
            return
        await cursor.execute(query("prove_leases"), self.held)
        kept = {phone for (phone,) in await cursor.fetchall()}
        if lost := sorted(set(self.epochs) - kept):
            raise LeaseLost(
                f"Another {self.work} has taken over {', '.join(lost)}: this one was silent for too long. It stops; "
                "what it had committed stands, and the other goes on from there."
            )
