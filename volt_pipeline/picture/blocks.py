"""What the sections of the page are built of: tables that scroll in their own box, charts with their numbers, tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from volt_pipeline.picture.charts import NARROW, WIDE
from volt_pipeline.picture.markup import Markup, Part, element, join

ACCOUNTS_SHOWN = 20
NOT_BUILT = "A table that this needs is not built yet: run volt-pipeline sync, without --raw."


@dataclass(frozen=True)
class Tile:
    """One figure of the headline row, and what it is of."""

    label: str
    figure: str
    note: str


def section(key: str, title: str, *parts: Part) -> Markup:
    """A section with its heading; `key` is its anchor."""
    heading = element("h2", title, id=f"{key}-heading")
    return element("section", heading, *parts, id=key, aria_labelledby=f"{key}-heading")


def say(*parts: Part, style: str | None = None) -> Markup:
    """A paragraph."""
    return element("p", *parts, class_=style)


def tiles(shown: Sequence[Tile]) -> Markup:
    """The headline row."""
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", tile.label),
                element("dd", tile.figure, class_="figure" if any(map(str.isdigit, tile.figure)) else "figure none"),
                element("dd", tile.note, class_="note"),
            )
            for tile in shown
        ),
        class_="tiles",
    )


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Part]],
    *,
    left: int = 1,
    more: str = "",
    total: bool = False,
) -> Markup:
    """A table: `left` columns of words, then numbers. `more` says what is left out; a `total` is the last row."""
    lines = [
        element(
            "tr",
            *(
                element("th", cell, scope="row") if at == 0 else element("td", cell, class_="n" if at >= left else "w")
                for at, cell in enumerate(row)
            ),
            class_="total" if total and row is rows[-1] else None,
        )
        for row in rows
    ]
    columns = [element("th", name, scope="col", class_="n" if at >= left else None) for at, name in enumerate(head)]
    drawn = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *columns)),
        element("tbody", *lines),
    )
    box = element("div", drawn, class_="scroll", tabindex=0, role="region", aria_label=caption)
    return join(box, say(more, style="note") if more else None)


def figure(title: Part, draw: Callable[[int], Markup], numbers: Markup) -> Markup:
    """A chart, drawn once for a desk and once for a phone, with its numbers folded below."""
    return element(
        "figure",
        element("figcaption", title),
        element("div", draw(WIDE), class_="wide"),
        element("div", draw(NARROW), class_="narrow"),
        element("details", element("summary", "The numbers"), numbers),
    )


def left_out(shown: int, count: int, one: str, many: str = "") -> str:
    """Like: and 12 more accounts. Nothing where all are shown."""
    rest = count - shown
    return f"and {rest:,} more {one if rest == 1 else many or one + 's'}" if rest > 0 else ""
