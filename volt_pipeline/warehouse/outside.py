"""A private room outside VOLT_HOME, for the data of a home that Postgres' user cannot reach.

The room is named after the home's path, so that it is found again, and holds the home's random identity, so
that a home which was deleted and made anew does not come upon data whose password nobody knows any more.
"""

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from volt_pipeline.local_service import write_private
from volt_pipeline.warehouse import postmaster
from volt_pipeline.warehouse.placement import OUTSIDE, REMEDY, EmbeddedPostgresError, Runner

MARKER = "belongs-to.json"
NOTE = """The data of this embedded Postgres stands in

    {room}

because the user `{user}`, who runs Postgres for root, cannot reach this directory. Deleting VOLT_HOME leaves
that directory behind; it is used afresh when the same VOLT_HOME is made again, and may be deleted otherwise.
"""


def room_for(home: Path, base: Path) -> Path:
    """The room's path: the same for the same home, whatever the home's path is made of."""
    return base / f"volt-pipeline-{sha256(os.fsencode(home)).hexdigest()[:16]}"


def claim(room: Path, runner: Runner, home: Path, identity: str) -> None:
    """Make the room this home's, empty if an earlier, deleted home of the same path left data in it."""
    with contextlib.suppress(FileExistsError):
        room.mkdir(mode=0o700)
    details = room.lstat()
    if not stat.S_ISDIR(details.st_mode) or details.st_uid not in (os.geteuid(), runner.uid):
        raise EmbeddedPostgresError(f"{room} belongs to someone else: remove it, or {REMEDY}")
    runner.take(room)
    held, ours = _marker(room), {"home": str(home), "id": identity}
    if held == ours:
        return
    if held.get("home") != str(home) and (held or (room / "data").exists()):
        raise EmbeddedPostgresError(f"{room} is not known to belong to {home}: remove it, or {REMEDY}")
    postmaster.stop(room / "data")
    for path in room.iterdir():
        if path.name != MARKER:  # replaced last, so that a kill in between leaves nothing unmarked
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    write_private(room / MARKER, json.dumps(ours))


def abandon(below: Path, bases: Sequence[Path] = OUTSIDE) -> None:
    """Stop and delete what stands outside for the homes in a directory, which were never meant to last."""
    for room in (room for base in bases for room in base.glob("volt-pipeline-*")):
        with contextlib.suppress(PermissionError):  # somebody else's
            home = _marker(room).get("home")
            if home and Path(home).is_relative_to(below):
                postmaster.stop(room / "data")
                shutil.rmtree(room)


def _marker(room: Path) -> dict[str, Any]:
    try:
        held = json.loads((room / MARKER).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}
