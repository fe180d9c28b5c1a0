"""HTML and SVG that cannot forget to escape: whatever is not markup already is escaped on its way in."""

from __future__ import annotations

from html import escape

_VOID = {"meta", "br"}


class Markup(str):
    """Text that is HTML; made by `element` and `join` alone, from escaped parts."""

    __slots__ = ()


Part = Markup | str | int | None


def text(part: Part) -> Markup:
    """A part as markup: markup stays, None is nothing, anything else is escaped."""
    if isinstance(part, Markup):
        return part
    return Markup("" if part is None else escape(str(part)))


def join(*parts: Part) -> Markup:
    """Parts one after the other."""
    return Markup("".join(text(part) for part in parts))


def element(name: str, /, *parts: Part, **attributes: str | float | None) -> Markup:
    """One element. An attribute that is None is left out; `_` in its name is `-`, and one at the end is dropped."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(*parts)}</{name}>")


def _value(value: str | float) -> str:
    """Coordinates with one decimal: a page of charts is mostly made of them."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
