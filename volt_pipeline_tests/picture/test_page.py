"""The page: whole, closed to the network, silent about people, escaped, small, and right where there is little."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa

from volt_pipeline.defs.picture import REPORT_KEY, build_report
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.picture.figures import ConsentNow, Coverage, LastSync, Picture, Reject, Trust
from volt_pipeline.picture.page import EMPTY, UNBUILT, ReportNotWritten, draw, written
from volt_pipeline.picture.reading import read
from volt_pipeline.picture.trust import doubts
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline_tests.dbt_project import fixture_world as world

from . import worlds
from .conftest import Connection

_VOID = {"meta", "br"}


class Outline(HTMLParser):
    """What a page is made of. A tag that is not closed where it should be fails."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.said: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & {*self.open[-1:]}:
            self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(picture: Picture) -> str:
    return written(picture)


@pytest.fixture
def outline(page: str) -> Outline:
    return Outline(page)


# --- the document -----------------------------------------------------------------------------------------------


def test_it_is_one_whole_document(page: str, outline: Outline) -> None:
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    assert [attributes["lang"] for attributes in outline.all("html")] == ["en"]
    names = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(names) == len(set(names))
    for _, attributes in outline.tags:
        assert set(attributes.get("aria-labelledby", "").split()) <= set(names)
    assert {link["href"].removeprefix("#") for link in outline.all("a")} <= set(names)
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert set(levels[1:]) == {2}


def test_every_chart_has_a_name_and_its_numbers(outline: Outline) -> None:
    charts = outline.all("svg")
    assert len(charts) >= 8
    assert all(chart["role"] == "img" and chart["aria-labelledby"] for chart in charts)
    assert len(outline.all("title")) == len(charts) + 1
    figures = [tag for tag, _ in outline.tags if tag in ("figure", "details", "table")]
    for at, tag in enumerate(figures):
        if tag == "figure":
            assert figures[at + 1 : at + 3] == ["details", "table"]


def test_it_may_ask_for_nothing_and_run_nothing(page: str, outline: Outline) -> None:
    (policy,) = [tag["content"] for tag in outline.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    used = {tag for tag, _ in outline.tags}
    assert not used & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "image", "use"}
    assert not {name for _, attributes in outline.tags for name in attributes} & {"src", "style", "srcset"}
    assert not [name for _, attributes in outline.tags for name in attributes if name.startswith("on")]
    assert not re.search(r"//|url\(|@import|javascript:", page)


def test_names_are_shown_escaped(page: str, outline: Outline) -> None:
    for name in (worlds.WAVE, worlds.LIST, worlds.ACCOUNT):
        assert name not in page
        assert escape(name) in page
        assert name in outline.text


def test_nobody_is_named(page: str, connection: Connection) -> None:
    private = connection.execute(
        "SELECT contact_phone FROM volt_marts.messages UNION SELECT body FROM volt_marts.messages WHERE keyword IS NULL"
        " UNION SELECT name FROM volt_marts.contacts UNION SELECT sent_by FROM volt_marts.waves"
        " UNION SELECT row_key FROM volt_marts.pushes WHERE export = 'contacts'"
    ).fetchall()
    texts = [str(value) for (value,) in private if value and len(str(value)) > 3]
    assert len(texts) > 20
    assert [value for value in texts if value in page or escape(value) in page] == []
    assert re.findall(r"(?:\d[ ().-]?){10,}", re.sub(r"<(style|svg).*?</\1>", "", page, flags=re.DOTALL)) == []
    assert "Nobody yet" not in page, "a wave to a single contact may bear their name"


def test_the_figures_stand_on_it(outline: Outline) -> None:
    for words in (
        "Texts in 14",
        "Texts out 17",
        "86.7 % of 15 settled texts; 2 still pending",
        "Median first response not enough data by the clock; 4 of 6 sessions answered",
        "Waiting for an answer 4 people; 4 for over 24 hours, 0 for over 30 days",
        "Opt-outs 2 no 30 days before to compare with",
        "Estimated cost $0.30 of 31 priced texts",
        "2 people have ever opted out by a clear word (STOP and its kin), and 1 of them came back.",
        "1 text went out in the last 30 days to people who were opted out.",
        "cannot reach (number)",
        "Nothing tells the direction of 1 of 32 texts",
    ):
        assert words in outline.text


# --- worlds with little in them, and with much ---------------------------------------------------------------------


def test_without_marts_it_says_what_to_run(warehouse_url: str) -> None:
    with psycopg.connect(conninfo(warehouse_url)) as connection:
        outline = Outline(written(read(connection, worlds.NOW)))
    assert UNBUILT in outline.text
    assert not outline.all("section")


def test_marts_without_rows_say_that_there_is_nothing_yet(spoiled: Connection) -> None:
    worlds.empty(spoiled)
    outline = Outline(written(read(spoiled, worlds.NOW)))
    assert EMPTY in outline.text
    assert "no sync is on record" in outline.text
    assert [section["id"] for section in outline.all("section")] == ["trust"]


def test_no_section_divides_by_nothing(spoiled: Connection) -> None:
    """Contacts alone: every section is there and has nothing to show."""
    worlds.empty(spoiled)
    picture = read(spoiled, worlds.NOW)
    assert picture.consent is not None
    outline = Outline(written(replace(picture, consent=replace(picture.consent, now=ConsentNow(1, 0, 0, 1, 0)))))
    assert len(outline.all("section")) == 9
    assert not outline.all("svg")
    assert "nan" not in outline.text.lower().split()


def test_a_mart_that_is_not_built_costs_its_section(spoiled: Connection) -> None:
    spoiled.execute("DROP TABLE volt_marts.waves CASCADE")
    spoiled.execute("ALTER TABLE volt_marts.responses DROP COLUMN is_keyword_only CASCADE")
    outline = Outline(written(read(spoiled, worlds.NOW)))
    assert outline.text.count("is not built yet: run volt-pipeline sync") == 2
    assert "86.7 % of 15 settled texts" in outline.text
    assert "Waiting for an answer 4" not in outline.text


def test_200_accounts_and_three_years_stay_under_300_kilobytes(spoiled: Connection) -> None:
    worlds.swell(spoiled)
    page = written(read(spoiled, worlds.NOW))
    assert len(page.encode()) < 300_000
    outline = Outline(page)
    # By account: texts, responses, who waits, cost.
    for words, times in (("and 180 more accounts", 4), ("and 985 more campaigns", 1), ("and 388 more lists", 1)):
        assert outline.text.count(words) == times


# --- how far to trust it ------------------------------------------------------------------------------------------


_SYNC = LastSync(worlds.NOW - timedelta(minutes=9), worlds.NOW - timedelta(minutes=5), "succeeded", 60.0)
_WHOLE = Coverage("messages", 5, 1000, 1000, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("trust", "words"),
    [
        (Trust([_WHOLE], [], _SYNC), []),
        (
            Trust([replace(_WHOLE, held=998, missing=2)], [], _SYNC),
            ["2 of 1,000 messages of conversations are missing"],
        ),
        (Trust([replace(_WHOLE, stream="lists", held=1, missing=999)], [], _SYNC), []),
        (Trust([_WHOLE], [Reject("messages", "odd", 3, worlds.NOW)], _SYNC), ["3 rows could not be stored or read"]),
        (Trust([_WHOLE], [], None), ["no sync is on record"]),
        (Trust([_WHOLE], [], replace(_SYNC, outcome="failed")), ["failed"]),
        (Trust([_WHOLE], [], replace(_SYNC, finished_at=None, outcome="running")), ["has not ended"]),
        (Trust([_WHOLE], [], replace(_SYNC, finished_at=worlds.NOW - timedelta(days=2))), ["more than a day ago"]),
    ],
)
def test_doubts(trust: Trust, words: list[str], picture: Picture) -> None:
    found = doubts(trust, worlds.NOW)
    assert len(found) == len(words)
    assert all(word in doubt for word, doubt in zip(words, found, strict=True))
    text = Outline(written(replace(picture, trust=trust))).text
    assert ("You can trust this page:" in text) == (not words)
    assert ("Read with care:" in text) == bool(words)


# --- putting it in its place ----------------------------------------------------------------------------------------


def test_a_page_that_cannot_be_drawn_leaves_the_last_one(connection: Connection, tmp_path: Path) -> None:
    place = tmp_path / "a new folder" / "report.html"
    draw(connection, worlds.NOW, place)
    before = place.read_bytes()
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        draw(connection, worlds.NOW, place)
    assert place.read_bytes() == before
    assert [file.name for file in place.parent.iterdir()] == ["report.html"]


def test_where_it_cannot_be_written_is_said(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportNotWritten, match="--output"):
        draw(connection, worlds.NOW, tmp_path / "report.html")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.fixture
def environment(built: sa.URL, tmp_path: Path) -> dict[str, str]:
    """The settings of somebody whose warehouse this is."""
    return {
        "VOLT_HOME": str(tmp_path / "home"),
        "VOLT_API_TOKEN": "token",
        "VOLT_ACCOUNTS": world.TULSA,
        "WAREHOUSE_URL": built.set(drivername="postgresql").render_as_string(hide_password=False),
    }


def test_the_command_draws_it_and_opens_the_browser(environment: dict[str, str], tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}"\n')
    browser.chmod(0o755)
    command = [sys.executable, "-m", "volt_pipeline", "report", "--open"]
    inherited = {name: os.environ[name] for name in ("PATH",)}
    done = subprocess.run(
        command, env=inherited | environment | {"BROWSER": str(browser)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    place = tmp_path / "home" / "report.html"
    assert done.stdout == f"The report is in {place}\n"
    assert opened.read_text().strip() == place.as_uri()
    assert "Texts at a glance" in place.read_text(encoding="utf-8")


def test_without_a_display_the_command_only_says_where_it_is(environment: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "elsewhere.html"
    command = [sys.executable, "-m", "volt_pipeline", "report", "--open", "--output", str(place)]
    inherited = {name: os.environ[name] for name in ("PATH",)}
    done = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"The report is in {place}\nNo browser can be opened from here; open that file in one.\n"
    assert place.exists()


@pytest.mark.parametrize("marts", [True, False], ids=["with marts", "without marts"])
def test_the_asset_draws_it(
    environment: dict[str, str], warehouse_url: str, monkeypatch: pytest.MonkeyPatch, marts: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if not marts:
        monkeypatch.setenv("WAREHOUSE_URL", warehouse_url)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([build_report([])], resources={"pipeline": Pipeline()}, instance=instance)
    assert done.success
    (event,) = done.get_asset_materialization_events()
    place = Path(environment["VOLT_HOME"]) / "report.html"
    assert event.asset_key == REPORT_KEY
    assert event.materialization.metadata["bytes"].value == place.stat().st_size
    assert (UNBUILT in place.read_text(encoding="utf-8")) == (not marts)
