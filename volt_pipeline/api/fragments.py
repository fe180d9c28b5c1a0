"""The catalogue as GraphQL: a fragment for each of its types that selects the declared columns."""

from __future__ import annotations

from dataclasses import dataclass, field

from volt_pipeline import catalog
from volt_pipeline.catalog import Stream


def fragments() -> str:
    """All of them (`MessageColumns`, `ContactColumns`, …)."""
    return "\n".join(
        f"fragment {fragment_name(stream)} on {stream.type_name} {_selection(stream).render()}"
        for stream in catalog.STREAMS
        if stream.type_name
    )


def fragment_name(stream: Stream) -> str:
    return f"{stream.type_name}Columns"


@dataclass
class _Selection:
    """A GraphQL selection set under construction: names to what is selected below them."""

    below: dict[str, _Selection] = field(default_factory=dict)
    raw: str = ""

    def render(self) -> str:
        parts = [
            name if not (child.below or child.raw) else f"{name} {child.raw or child.render()}"
            for name, child in self.below.items()
        ]
        return "{ " + " ".join(parts) + " }"


def _selection(stream: Stream) -> _Selection:
    root = _Selection()
    for column in stream.read:
        node = root
        for name in column.path.split("."):
            node = node.below.setdefault(name, _Selection())
        node.raw = column.selection
    return root
