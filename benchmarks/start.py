"""What a person waits for: whole commands as they are typed, in fresh processes, when there is nothing new.

    .venv/bin/python benchmarks/start.py [--rounds 3]

On the invented Volt and an embedded Postgres, whose start and stop are part of each command, as in a demo. Beside the
total stand what the imports take by themselves, what a sync says of its parts, and the floor: Python alone, and Python
that imports Dagster.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from volt_pipeline.warehouse.embedded import throwaway_home

DOOR = "volt_pipeline.cli"
TOLD = f"{DOOR}, volt_pipeline.door.showing"
RUN = f"{TOLD}, volt_pipeline.defs.location"
COMMANDS = {  # and what they import
    "--help": DOOR,
    "status": TOLD,
    "rejects": TOLD,
    "push --dry-run": f"{RUN}, volt_pipeline.push",
    "send": f"{RUN}, volt_pipeline.door.send_desk",
    "sync --raw": RUN,
    "sync": f"{RUN}, volt_pipeline.defs.dbt",
}
PARTS = ("Volt", "marts", "start and bookkeeping")


def _environment(home: Path) -> dict[str, str]:
    """Ours, but nothing that points to a real Volt, a warehouse or another Dagster."""
    ours = ("VOLT_", "WAREHOUSE_", "DAGSTER_")
    return {**{name: text for name, text in os.environ.items() if not name.startswith(ours)}, "VOLT_HOME": str(home)}


def _timed(environment: dict[str, str], *arguments: str) -> tuple[float, str]:
    """Seconds of a Python process, and what it wrote."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds, done.stdout


def _parts(written: Sequence[str]) -> str:
    """The medians of what the runs of a command said of their parts."""
    found = {
        part: [seconds for text in written for seconds in re.findall(rf"{part} ([\d.]+) s", text)] for part in PARTS
    }
    return ", ".join(f"{part} {statistics.median(map(float, times)):.1f}" for part, times in found.items() if times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = range(parser.parse_args().rounds)
    with throwaway_home() as home:
        environment = _environment(home)
        first, _ = _timed(environment, "-m", "volt_pipeline", "sync")
        _timed(environment, "-m", "volt_pipeline", "sync")  # what the first one left to be looked at again
        print(
            f"seconds, median of {len(rounds)}; the first sync of all took {first:.1f}; load {os.getloadavg()[0]:.1f}"
        )
        for program in ("pass", "import dagster"):
            floor = statistics.median(_timed(environment, "-c", program)[0] for _ in rounds)
            print(f"floor: python -c '{program}'".ljust(34) + f"{floor:6.2f}", flush=True)
        for command, modules in COMMANDS.items():
            imports = statistics.median(_timed(environment, "-c", f"import {modules}")[0] for _ in rounds)
            runs = [_timed(environment, "-m", "volt_pipeline", *command.split()) for _ in rounds]
            total = statistics.median(seconds for seconds, _ in runs)
            said = _parts([text for _, text in runs])
            print(
                f"volt-pipeline {command}".ljust(34)
                + f"{total:6.2f}   of which imports {imports:.2f}"
                + (f"; it says: {said}" if said else ""),
                flush=True,
            )


if __name__ == "__main__":
    main()
