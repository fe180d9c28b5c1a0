"""The pages for analysts: every statement on them is run on the fixture world, and gives the answer beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .conftest import Built

DOCS = Path(__file__).parents[2] / "docs"
_SECTION = re.compile(r"^## (?P<title>.+?)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_STATEMENT = re.compile(r"^```sql\n(?P<sql>.*?)^```\n\n(?P<table>(?:^\|[^\n]*\n)+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Question:
    """A heading, its statement, and the answer that the page shows: the names of the columns, then the rows."""

    title: str
    statement: str
    answer: list[list[str]]


def _questions(page: str) -> list[Question]:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = []
    for section in _SECTION.finditer(text):
        for match in _STATEMENT.finditer(section["text"]):
            names, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in match["table"].splitlines())
            found.append(Question(section["title"], match["sql"], [names, *rows]))
    assert len(found) == text.count("```sql"), f"{page}: a statement without an answer below it"
    return found


def _shown(value: Any) -> str:
    """A value as the pages write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        return f"{Decimal(str(value)).normalize():f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value).strip()


ANALYSTS, METRICS = _questions("analysts.md"), _questions("metrics.md")


@pytest.mark.parametrize("question", ANALYSTS + METRICS, ids=lambda question: question.title)
def test_the_answer_on_the_page_is_the_warehouses(warehouse: Built, question: Question) -> None:
    with warehouse.engine.connect() as connection:
        result = connection.exec_driver_sql(question.statement)
        found = [list(result.keys()), *([_shown(value) for value in row] for row in result)]
    assert found == question.answer


def test_the_page_answers_25_questions_in_one_short_select_each() -> None:
    assert len({question.title for question in ANALYSTS}) == len(ANALYSTS) == 25
    for question in ANALYSTS:
        assert question.statement.lower().startswith("select"), question.title
        assert ";" not in question.statement, question.title
        assert len(question.statement.splitlines()) <= 12, question.title
        assert set(re.findall(r"(?:from|join) (\w+)\.", question.statement)) == {"volt_marts"}, question.title


def test_the_questions_touch_every_mart(warehouse: Built) -> None:
    marts = {node["name"] for node in warehouse.manifest["nodes"].values() if node["schema"] == "volt_marts"}
    asked = {mart for question in ANALYSTS for mart in re.findall(r"volt_marts\.(\w+)", question.statement)}
    assert asked == marts


def test_dbts_docs_say_what_the_metric_dictionary_says(warehouse: Built) -> None:
    """The exposures take their words from the page; each names the marts that its statement reads."""
    exposures = {exposure["label"]: exposure for exposure in warehouse.manifest["exposures"].values()}
    assert set(exposures) == {metric.title for metric in METRICS}
    for metric in METRICS:
        exposure = exposures[metric.title]
        assert metric.statement in exposure["description"]
        assert "**Denominator**" in exposure["description"]
        assert "**Caveat**" in exposure["description"]
        read = {f"model.volt_pipeline.{mart}" for mart in re.findall(r"volt_marts\.(\w+)", metric.statement)}
        assert set(exposure["depends_on"]["nodes"]) == read
