"""The page in a real browser: it asks for nothing, complains of nothing, and fits a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from volt_pipeline.picture.page import draw

from . import browser, worlds
from .browser import Tab

_CUT_OFF = """
[...document.querySelectorAll('svg')].filter(svg => svg.getClientRects().length).flatMap(svg => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(text => {
        const inner = text.getBoundingClientRect();
        return inner.left < box.left - 1 || inner.right > box.right + 1 || inner.bottom > box.bottom + 1;
    }).map(text => text.textContent);
})
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    program = browser.executable()
    if program is None:
        pytest.skip(f"no browser is installed (one of {', '.join(browser.NAMES)})")
    with browser.running(program, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def pages(built: sa.URL, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The fixture world, the largest one, and nothing, drawn."""
    folder = tmp_path_factory.mktemp("pages")
    for name, spoil in (("small", None), ("large", worlds.swell), ("empty", worlds.empty)):
        with worlds.copied(built) as connection:
            if spoil:
                spoil(connection)
            draw(connection, worlds.NOW, folder / f"{name}.html")
    return {page.stem: page for page in folder.iterdir()}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["small", "large", "empty"])
def test_it_fits_and_is_quiet(tab: Tab, pages: dict[str, Path], name: str, width: int, dark: bool) -> None:
    tab.show(pages[name], width, dark=dark)
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value("document.querySelector('h1').getBoundingClientRect().height") > 0
    assert tab.requests == [pages[name].as_uri()]
    assert tab.complaints == []
    if name != "empty":
        assert tab.value(_CUT_OFF) == []
        assert tab.value("document.scripts.length + document.images.length") == 0


def test_its_style_is_let_in_and_follows_the_scheme(tab: Tab, pages: dict[str, Path]) -> None:
    grounds = []
    for dark in (False, True):
        tab.show(pages["small"], 390, dark=dark)
        grounds.append(tab.value("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(251, 251, 249)", "rgb(20, 24, 27)"]


def test_each_chart_is_shown_once(tab: Tab, pages: dict[str, Path]) -> None:
    shown = "[...document.querySelectorAll('figure')].map(f => [...f.querySelectorAll('svg')]"
    for width in (390, 1280):
        tab.show(pages["small"], width)
        assert set(tab.value(f"{shown}.filter(svg => svg.getClientRects().length).length)")) == {1}


def test_the_browser_would_notice(tab: Tab, pages: dict[str, Path], tmp_path: Path) -> None:
    """What these tests look for is found where it is."""
    bad = tmp_path / "bad.html"
    inside = '<p style="width:900px">wide</p><img src="http://127.0.0.1:9/x.png"><script>alert(1)</script></main>'
    bad.write_text(pages["small"].read_text(encoding="utf-8").replace("</main>", inside), encoding="utf-8")
    tab.show(bad, 390)
    assert len(tab.complaints) >= 3, "the style, the image and the script are refused"
    assert tab.value("document.images.length") == 1
