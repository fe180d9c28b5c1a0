"""`volt-pipeline report`: draw the page, say where it is, show it in a browser. Without Dagster, so it is quick."""

from __future__ import annotations

import os
import sys
import webbrowser
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from volt_pipeline.door.console import say
from volt_pipeline.picture.page import FILE, draw
from volt_pipeline.settings import Settings
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline.workplace import warehouse


def draw_report(settings: Settings, output: Path | None, *, opened: bool) -> None:
    """Draw to `output`, or to report.html under VOLT_HOME. Raises ReportNotWritten, WarehouseError."""
    place = (output or settings.home / FILE).absolute()
    with warehouse(settings) as url, psycopg.connect(conninfo(url)) as connection:
        draw(connection, datetime.now(UTC), place)
    say(f"The report is in {place}")
    if opened and not (_has_display() and webbrowser.open(place.as_uri())):
        say("No browser can be opened from here; open that file in one.")


def _has_display() -> bool:
    """Without one, a browser for terminals would take this terminal over."""
    elsewhere = sys.platform in ("darwin", "win32")
    return elsewhere or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
